"""Answers to a question, as spans of a context."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from nlp_inference.document import Annotation, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays, DocumentOutputs, LostSpan, Task
from nlp_inference.tasks.labels import label_settings
from nlp_inference.tasks.numeric import CERTAIN
from nlp_inference.tasks.units import UnitRange, Units, raw_edges, read_units, why_lost

ANSWER = "answer"
"""The label of gold and predicted spans."""

NO_ANSWER = "no_answer"
"""The key of the probability of no answer in `Annotation.values`."""

_NULL = 0
"""Position of the token that stands for "no answer": the first one, which is `[CLS]` for most models."""


class Candidates(NamedTuple):
    """The best answers to a question over all windows of its context.

    Attributes:
        ranges: start and end of each in the current text, the best first.
        logits: `[candidates]`, the start logit plus the end logit of each.
        null: the least such sum of "no answer" over the windows.
    """

    ranges: list[tuple[int, int]]
    logits: NDArray[np.float32]
    null: float

    @property
    def null_difference(self) -> float:
        """How much "no answer" exceeds the best answer; infinite without an answer."""
        return self.null - float(self.logits[0]) if len(self.logits) else float("inf")


class QuestionAnswering(Task):
    """Find the answer to a question in a context.

    The context is the text of a document, and the question its text pair. Long contexts are split into windows, each
    with the complete question; the best answers of all windows are compared by their logits, as in BERT for SQuAD
    (Devlin et al., 2019, https://arxiv.org/abs/1810.04805). Gold is a span with the label `answer` for each accepted
    answer, and no span where the context does not answer the question.

    Args:
        top_k: how many answers a prediction contains at most, best first.
        max_answer_tokens: the longest answer, in tokens.
        n_best: how many candidates each window contributes; scores are probabilities among all of them.
        no_answer_threshold: there is no answer if the logit of "no answer" exceeds that of the best answer by more than
            this; `None` means that there always is one. Training fits it to validation documents by default.

    A span's score is a softmax over the candidates and "no answer", whose probability is `values["no_answer"]`.

    Example:
        >>> task = QuestionAnswering()
        >>> task.outputs, task.model_settings()["id2label"]
        (('start_logits', 'end_logits'), {0: 'start', 1: 'end'})
    """

    name = "question-answering"
    auto_model = "AutoModelForQuestionAnswering"
    pipeline_tag = "question-answering"
    outputs = ("start_logits", "end_logits")
    needs = "answers"
    fitters = ("no_answer_threshold",)
    own_loss = True
    needs_pair = True
    pair_position = "first"

    top_k: Annotated[int, Field(gt=0)] = 1
    max_answer_tokens: Annotated[int, Field(gt=0)] = 30
    n_best: Annotated[int, Field(gt=0)] = 20
    no_answer_threshold: FiniteFloat | None = 0.0

    def model_settings(self) -> dict[str, Any]:
        """Return the two logits of each token: that it starts, and that it ends, the answer."""
        return label_settings(("start", "end"))

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """Return `start_positions` and `end_positions` `[]` of the first gold answer that each row contains.

        Both are 0, the position of "no answer", in a row that contains none.

        Raises:
            InvalidDocumentError: the document has no gold.
        """
        positions = self._positions(encoded, rows)
        return [{"start_positions": np.array(first), "end_positions": np.array(last)} for first, last in positions]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return logits that are certain of the gold answer, or of "no answer"."""
        outputs: list[Arrays] = []
        for row, positions in zip(rows, self._positions(encoded, rows), strict=True):
            logits = np.full((2, len(row.input_ids)), -CERTAIN, dtype=np.float32)
            logits[[0, 1], positions] = CERTAIN
            outputs.append(dict(zip(self.outputs, logits, strict=True)))
        return outputs

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """Return the best answers over all windows, or none, in raw coordinates."""
        found = self.candidates(DocumentOutputs(encoded, rows, outputs))
        powers = np.exp(np.append(found.logits, found.null) - max(found.null, found.logits.max(initial=-np.inf)))
        scores = (powers / powers.sum()).tolist()
        values = {NO_ANSWER: scores.pop()}
        if self.no_answer_threshold is not None and found.null_difference > self.no_answer_threshold:
            return Annotation(values=values)
        best: dict[tuple[int, int], float] = {}
        for edges, score in zip(raw_edges(encoded, found.ranges), scores, strict=True):
            if edges[0] < edges[1]:  # equal where an edit inserted all characters of the answer
                best.setdefault(edges, score)
        spans = (Span(start=start, end=end, label=ANSWER, score=score) for (start, end), score in best.items())
        return Annotation(spans=tuple(spans)[: self.top_k], values=values)

    def candidates(self, outputs: DocumentOutputs) -> Candidates:
        """Return the best answers of all windows; of the same answer in two windows, the one with the greater logit."""
        encoded = outputs.encoded
        units = read_units(encoded, are_tokens=True)
        best: dict[tuple[int, int], float] = {}
        null = float("inf")
        for window, row, output in zip(encoded.windows, outputs.rows, outputs.outputs, strict=True):
            starts, ends = (output[name] for name in self.outputs)
            null = min(null, float(starts[_NULL] + ends[_NULL]))
            read = slice(*np.searchsorted(units.tokens, [window.start, window.end]).tolist())
            at = units.tokens[read] - window.start + row.content.start
            for first, last, logit in _best_pairs(
                starts[at], ends[at], most=self.n_best, longest=self.max_answer_tokens
            ):
                edges = int(units.starts[read.start + first]), int(units.ends[read.start + last])
                best[edges] = max(logit, best.get(edges, -np.inf))
        ranked = sorted(best.items(), key=lambda one: (-one[1], one[0]))[: self.n_best]
        return Candidates([edges for edges, _ in ranked], np.array([one for _, one in ranked], dtype=np.float32), null)

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:
        """Return the gold answers that no model can reproduce exactly, each with its cause."""
        placed = self._place_gold(encoded, read_units(encoded, are_tokens=True))
        return [LostSpan(span, cause) for span, _, cause in placed if cause is not None]

    def _place_gold(self, encoded: EncodedDocument, units: Units) -> list[tuple[Span, UnitRange | None, str | None]]:
        """Return each gold answer with the tokens that it touches, and the cause if it cannot be reproduced."""
        document = encoded.document
        if document.gold is None:
            raise InvalidDocumentError(f"document {document.id!r} has no gold annotation to learn from")
        placed = [(span, units.touched_by(encoded, span)) for span in document.gold.spans]
        return [(span, touched, self._why_lost(encoded, units, span, touched)) for span, touched in placed]

    def _why_lost(self, encoded: EncodedDocument, units: Units, span: Span, touched: UnitRange | None) -> str | None:
        """Return why a gold answer cannot be reproduced; `None` if it can."""
        cause = why_lost(encoded, units, span, touched)
        if cause is not None or touched is None:
            return cause
        if touched[1] - touched[0] > self.max_answer_tokens:
            return "longer than max_answer_tokens"
        if not any(_reads(one, units, touched) for one in encoded.windows):
            return "longer than the part of a window that it is in"
        return None

    def _positions(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[tuple[int, int]]:
        """Return first and last token of the answer in each row."""
        units = read_units(encoded, are_tokens=True)
        placed = [
            touched for _, touched, cause in self._place_gold(encoded, units) if cause is None and touched is not None
        ]
        positions = []
        for window, row in zip(encoded.windows, rows, strict=True):
            inside = next((touched for touched in placed if _reads(window, units, touched)), None)
            shift = row.content.start - window.start
            positions.append(
                (_NULL, _NULL)
                if inside is None
                else (int(units.tokens[inside[0]]) + shift, int(units.tokens[inside[1] - 1]) + shift)
            )
        return positions


def _reads(window: Any, units: Units, touched: UnitRange) -> bool:
    """Return whether a window contains all of some units."""
    return bool(window.start <= units.tokens[touched[0]] and units.tokens[touched[1] - 1] < window.end)


def _best_pairs(
    starts: NDArray[np.float32], ends: NDArray[np.float32], *, most: int, longest: int
) -> list[tuple[int, int, float]]:
    """Return first and last position and logit of the best ranges of at most `longest` tokens, in any order."""
    count = len(starts)
    if not count:
        return []
    longest = min(longest, count)
    padded = np.append(ends, np.full(longest - 1, -np.inf, dtype=np.float32))
    sums = starts[:, None] + np.lib.stride_tricks.sliding_window_view(padded, longest)  # [first, length - 1]
    flat = sums.ravel()
    order = np.argpartition(-flat, most - 1)[:most] if most < len(flat) else np.arange(len(flat))
    first, length = np.divmod(order[np.isfinite(flat[order])], longest)
    return list(zip(first.tolist(), (first + length).tolist(), sums[first, length].tolist(), strict=True))
