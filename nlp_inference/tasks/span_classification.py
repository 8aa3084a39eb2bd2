"""Spans that may overlap and nest, each with its own score."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from nlp_inference._utils.cached import cached
from nlp_inference.document import Annotation, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.windows import Window, central_window
from nlp_inference.encoding.words import WordRule
from nlp_inference.tasks.base import Arrays, LostSpan, Task
from nlp_inference.tasks.labels import check_labels, label_settings
from nlp_inference.tasks.numeric import CERTAIN
from nlp_inference.tasks.units import IN_NO_WINDOW, UnitRange, Units, known_gold, raw_edges, read_units, why_lost

UnitSpan = tuple[int, int, int]
"""First unit, unit after the last one, and label id."""

RawSpan = tuple[int, int, str]
"""Start, end and label, in raw coordinates."""


class SpanClassification(Task):
    """Find labeled spans that may overlap, nest, or have several labels.

    Args:
        labels: the labels of the spans, such as `("PROTEIN", "DNA")`.
        words: the definition of a word, as for `token-classification`. Spans start and end where words do.
        threshold: the probability above which a range of words is a span. Choose it on validation documents.
        spans_per_token: the greatest number of spans in a window, per token of the text in it. If more ranges are above
            the threshold, the most probable ones are kept, so that a text unlike those of training cannot return
            millions of spans. New runs set 4; `None`, the value of earlier models, is no limit.

    A span is scored in the window in which it is farther from an edge; a span that no window contains cannot be found.
    A span's score is its probability, independent of that of other spans. Where spans must not overlap, add
    `resolve_overlaps` to `postprocess`.

    Example:
        >>> SpanClassification(labels=("PROTEIN", "DNA")).model_settings()["id2label"]
        {0: 'PROTEIN', 1: 'DNA'}

    Raises:
        pydantic.ValidationError: labels are repeated or missing, `threshold` is not between 0 and 1, or
            `spans_per_token` is not positive.
    """

    name = "span-classification"
    auto_model = "AutoModelForSpanClassification"
    encoder_head = "span"
    pipeline_tag = "token-classification"
    needs = "spans"
    own_loss = True
    settings_of_new_models: ClassVar[Mapping[str, Any]] = {"spans_per_token": 4.0}

    labels: tuple[str, ...]
    words: WordRule = "unicode"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    spans_per_token: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    _check_labels = field_validator("labels")(check_labels)

    @property
    def word_rule(self) -> WordRule:
        """The field `words`."""
        return self.words

    def model_settings(self) -> dict[str, Any]:
        """Return `num_labels` and the names of the labels."""
        return label_settings(self.labels)

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """Return `labels` `[spans, 3]`: the tokens of the first and the last word of each span, and its label id.

        Raises:
            InvalidDocumentError: the document has no gold, or gold of an unknown label.
        """
        return [{"labels": spans} for spans in self._spans_of_rows(encoded, rows)]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return logits that are certain of the gold spans."""
        outputs: list[Arrays] = []
        for row, spans in zip(rows, self._spans_of_rows(encoded, rows), strict=True):
            tokens = len(row.input_ids)
            logits = np.full((tokens, tokens, len(self.labels)), -CERTAIN, dtype=np.float32)
            logits[tuple(spans.T)] = CERTAIN
            outputs.append({"logits": logits})
        return outputs

    def condense(self, row: Row, outputs: Arrays) -> Arrays:
        """Return `spans` `[spans, 3]`, first token, last token and label id above the threshold, and their `logits`."""
        logits = outputs["logits"][row.content, row.content]
        first, last, label = (logits > self._least_logit).nonzero()
        forward = first <= last
        spans = np.stack([first, last, label], axis=1)[forward]
        found = logits[tuple(spans.T)]
        most = len(found) if self.spans_per_token is None else int(self.spans_per_token * len(logits))
        if len(found) > most:
            kept = np.sort(np.argsort(-found, kind="stable")[:most])
            spans, found = spans[kept], found[kept]
        return {"spans": spans, "logits": found}

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """Return the spans above the threshold, in the order of the text, in raw coordinates."""
        units = read_units(encoded, are_tokens=False)
        found: dict[UnitSpan, float] = {}
        for number, (row, output) in enumerate(zip(rows, outputs, strict=True)):
            condensed = output if "spans" in output else self.condense(row, output)
            found |= window_spans(encoded.windows, number, units, condensed)
        return Annotation(spans=self._raw_spans(encoded, units, found))

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:
        """Return the gold spans that no model can predict, each with the cause."""
        units = read_units(encoded, are_tokens=False)
        placed = self.place_gold(encoded, units)
        found = {
            (*touched, self.labels.index(span.label)): 1.0
            for span, touched in placed
            if touched is not None and windows_with(encoded.windows, units, touched)
        }
        recovered = {(span.start, span.end, span.label) for span in self._raw_spans(encoded, units, found)}
        return [
            LostSpan(span, why_lost(encoded, units, span, touched) or IN_NO_WINDOW)
            for span, touched in placed
            if (span.start, span.end, span.label) not in recovered
        ]

    @cached
    def _least_logit(self) -> float:
        return float(np.log(self.threshold / (1 - self.threshold)))

    def _raw_spans(self, encoded: EncodedDocument, units: Units, found: dict[UnitSpan, float]) -> tuple[Span, ...]:
        """Return spans over units in raw coordinates, in order; of equal raw spans, the one with the highest score."""
        return best_spans(self.raw_keys(encoded, units, found), found.values())

    def raw_keys(self, encoded: EncodedDocument, units: Units, found: Collection[UnitSpan]) -> list[RawSpan]:
        """Return start, end and label of spans over units, in raw coordinates."""
        ranges = [(int(units.starts[first]), int(units.ends[after - 1])) for first, after, _ in found]
        edges = raw_edges(encoded, ranges)
        return [(*edge, self.labels[label]) for edge, (_, _, label) in zip(edges, found, strict=True)]

    def _spans_of_rows(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[NDArray[np.int64]]:
        """Return for each row `[spans, 3]`: first token, last token and label id of the gold spans that it contains."""
        units = read_units(encoded, are_tokens=False)
        spans: list[list[tuple[int, int, int]]] = [[] for _ in rows]
        for span, touched in self.place_gold(encoded, units):
            if touched is not None:
                first, last = int(units.tokens[touched[0]]), int(units.tokens[touched[1] - 1])
                for number in windows_with(encoded.windows, units, touched):
                    shift = rows[number].content.start - encoded.windows[number].start
                    spans[number].append((first + shift, last + shift, self.labels.index(span.label)))
        return [np.array(sorted(set(one)), dtype=np.int64).reshape(-1, 3) for one in spans]

    def place_gold(self, encoded: EncodedDocument, units: Units) -> list[tuple[Span, UnitRange | None]]:
        """Return each gold span with the units that it touches, if there are any."""
        return [(span, units.touched_by(encoded, span)) for span in known_gold(encoded, self.labels)]


def best_spans(keys: Sequence[RawSpan], scores: Iterable[float]) -> tuple[Span, ...]:
    """Return spans in the order of the text; of equal ones, the one with the highest score."""
    best: dict[RawSpan, float] = {}
    for key, score in zip(keys, scores, strict=True):
        best[key] = max(score, best.get(key, 0.0))
    return tuple(
        Span(start=start, end=end, label=label, score=score) for (start, end, label), score in sorted(best.items())
    )


def window_spans(windows: Sequence[Window], number: int, units: Units, condensed: Arrays) -> dict[UnitSpan, float]:
    """Return the spans of a window that belong to it and to no other window, with their probabilities."""
    tokens, labels = condensed["spans"][:, :2] + windows[number].start, condensed["spans"][:, 2]
    kept = np.isin(tokens, units.tokens).all(axis=1)
    if len(windows) > 1:
        kept &= central_window(windows, tokens[:, 0], tokens[:, 1]) == number
    first, last = np.searchsorted(units.tokens, tokens[kept]).T
    certain = 1 / (1 + np.exp(-condensed["logits"][kept].astype(np.float64)))
    spans = zip(first.tolist(), (last + 1).tolist(), labels[kept].tolist(), strict=True)
    return dict(zip(spans, certain.tolist(), strict=True))


def windows_with(windows: Sequence[Window], units: Units, touched: UnitRange) -> list[int]:
    """Return the windows that contain the first tokens of all these units."""
    first, last = units.tokens[touched[0]], units.tokens[touched[1] - 1]
    return [number for number, window in enumerate(windows) if window.start <= first and last < window.end]
