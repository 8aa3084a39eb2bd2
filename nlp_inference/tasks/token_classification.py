"""Spans that do not overlap, as one tag for every word (or token)."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from nlp_inference.document import Annotation, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.layout import IGNORED, Row
from nlp_inference.tasks.base import DELETED, EDGE_CHANGED, UNREAD, Arrays, LostSpan
from nlp_inference.tasks.labels import check_labels
from nlp_inference.tasks.numeric import CERTAIN, log_softmax
from nlp_inference.tasks.tag_scheme import OUTSIDE, SchemeName, TagScheme, UnitSpan
from nlp_inference.tasks.temperature import SoftmaxTask, Temperature
from nlp_inference.tasks.viterbi import best_valid_tags
from nlp_inference.windowing import stitch


class _Units(NamedTuple):
    """The units of a document that were read.

    Attributes:
        tokens: `[units]`, position of the first token of each unit.
        starts: `[units]`, where its first character stands in the current text.
        ends: `[units]`, where its last character ends.
    """

    tokens: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class TokenClassification(SoftmaxTask):
    """Find labelled spans that do not overlap.

    Args:
        labels: the labels of the spans, such as `("PERSON", "EMAIL")`.
        scheme: how spans become tags.
        aggregation: how the logits of a word's tokens become those of the word: its `first` token's, their `mean` or
            `max`; `none` tags tokens, which suits scripts without spaces. Spans start and end where units do.
        words: what a word is: what the `tokenizer` says, where punctuation stands apart, or what stands between
            `whitespace`, which suits texts that come tokenized.
        temperature: what logits are divided by before the softmax; `calibrate: true` fits it in training. It changes
            scores, and not which spans are found.
        outside_bias: added to the logit of `O`, the tag of no span: below zero more spans are found, above it fewer.
            Where spans are rare, a model errs towards `O`; this moves the threshold back, as Menon et al. (2021,
            https://arxiv.org/abs/2007.07314) adjust logits. Choose it on validation documents.

    Spans are the valid tag sequence of highest log-probability. A span's score is the mean probability, over its
    units, of the tags it is made of.

    Example:
        >>> task = TokenClassification(labels=("CITY",), scheme="BIO")
        >>> task.model_settings()["id2label"]
        {0: 'O', 1: 'B-CITY', 2: 'I-CITY'}

    Raises:
        pydantic.ValidationError: labels repeat or are none, or `outside_bias` is not between -10 and 10, further than
            which no doubt of a model goes.
    """

    name = "token-classification"
    auto_model = "AutoModelForTokenClassification"
    pipeline_tag = "token-classification"
    needs = "spans"
    flat = True

    labels: tuple[str, ...]
    scheme: SchemeName = "BIO"
    aggregation: Literal["first", "mean", "max", "none"] = "first"
    words: Literal["tokenizer", "whitespace"] = "tokenizer"
    temperature: Temperature = 1.0
    outside_bias: Annotated[float, Field(ge=-10, le=10)] = 0.0

    _check_labels = field_validator("labels")(check_labels)

    @cached_property
    def tag_scheme(self) -> TagScheme:
        """The tags that the model predicts."""
        return TagScheme(self.scheme, self.labels)

    def model_settings(self) -> dict[str, Any]:
        """`num_labels` and the names of the tags."""
        tags = self.tag_scheme.tags
        return {
            "num_labels": len(tags),
            "id2label": dict(enumerate(tags)),
            "label2id": {tag: index for index, tag in enumerate(tags)},
        }

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """`labels` `[tokens]`: the tag id of each token; with `first`, of the first token of each word only.

        Raises:
            InvalidDocumentError: the document has no gold, gold of an unknown label, or gold spans that overlap.
        """
        units = self._units(encoded)
        token_tags = self._token_tags(encoded, units)
        if self.aggregation == "first":
            first = np.full_like(token_tags, IGNORED)
            first[units.tokens] = token_tags[units.tokens]
            token_tags = first
        return [
            {"labels": _in_row(row, token_tags[window.start : window.end], fill=IGNORED)}
            for row, window in zip(rows, encoded.windows, strict=True)
        ]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Logits that are certain of the gold tags."""
        token_tags = self._token_tags(encoded, self._units(encoded))
        certain = np.eye(len(self.tag_scheme.tags), dtype=np.float32) * CERTAIN
        return [
            {"logits": certain[_in_row(row, token_tags[window.start : window.end], fill=0)]}
            for row, window in zip(rows, encoded.windows, strict=True)
        ]

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """The spans of the best valid tag sequence over the whole document, in raw coordinates."""
        units = self._units(encoded)
        if not len(units.tokens):
            return Annotation()
        logits = self._document_logits(encoded, units, rows, outputs)
        logits[:, OUTSIDE] += np.float32(self.outside_bias)
        scores = log_softmax(logits, temperature=self.temperature)
        tags = best_valid_tags(scores, self.tag_scheme)
        confidence = np.exp(scores[np.arange(len(tags)), tags])
        found = self.tag_scheme.decode(tags)
        means = [float(confidence[first:after].mean()) for first, after, _ in found]
        return Annotation(spans=tuple(self._raw_spans(encoded, units, found, means)))

    def _document_logits(
        self, encoded: EncodedDocument, units: _Units, rows: Sequence[Row], outputs: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """`[units, tags]`, joined over the windows."""
        content = [output["logits"][row.content] for row, output in zip(rows, outputs, strict=True)]
        return self._unit_logits(stitch(encoded.windows, content), units.tokens)

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:
        """Gold spans that no perfect model could give back, each with its cause."""
        units = self._units(encoded)
        placed = self._place_gold(encoded, units)
        in_units = [unit for _, unit in placed if unit is not None]
        found = self.tag_scheme.decode(self.tag_scheme.encode(len(units.tokens), in_units))
        spans = self._raw_spans(encoded, units, found, [1.0] * len(found))
        recovered = {(span.start, span.end, span.label) for span in spans}
        return [
            LostSpan(span, self._why_lost(encoded, units, span, unit))
            for span, unit in placed
            if (span.start, span.end, span.label) not in recovered
        ]

    def _raw_spans(
        self, encoded: EncodedDocument, units: _Units, found: Sequence[UnitSpan], scores: Sequence[float]
    ) -> list[Span]:
        """Spans over units in raw coordinates; where an edit made several units of one raw stretch, they are one."""
        spans: list[Span] = []
        for (first, after, label), score in zip(found, scores, strict=True):
            start, end = encoded.document.aligned.to_raw(int(units.starts[first]), int(units.ends[after - 1]))
            span = Span(start=start, end=end, label=label, score=score)
            if spans and start < spans[-1].end:
                span = _joined(spans.pop(), span)
            spans.append(span)
        return spans

    def _why_lost(self, encoded: EncodedDocument, units: _Units, span: Span, unit: UnitSpan | None) -> str:
        aligned = encoded.document.aligned
        start, end = aligned.to_current(span.start, span.end)
        if start == end:
            return DELETED
        if unit is None:
            return "beyond the window that is read" if encoded.truncated else UNREAD
        if aligned.to_raw(start, end) != (span.start, span.end):
            return EDGE_CHANGED
        if aligned.current[start:end] != aligned.current[start:end].strip():
            return "white space at its edge"
        if (units.starts[unit[0]], units.ends[unit[1] - 1]) != (start, end):
            return "its edge lies inside a token" if self.aggregation == "none" else "its edge lies inside a word"
        return f"merged with a neighbour by the scheme {self.scheme}"

    def _token_tags(self, encoded: EncodedDocument, units: _Units) -> NDArray[np.int64]:
        """`[tokens read]`: the gold tag of the unit that each token belongs to."""
        placed = [unit for _, unit in self._place_gold(encoded, units) if unit is not None]
        tags = np.append(0, self.tag_scheme.encode(len(units.tokens), placed))  # before the first unit is outside
        return tags[np.searchsorted(units.tokens, np.arange(encoded.tokens_read), side="right")]

    def _place_gold(self, encoded: EncodedDocument, units: _Units) -> list[tuple[Span, UnitSpan | None]]:
        """Each gold span with the units that it touches, if there are any that no earlier span took."""
        placed: list[tuple[Span, UnitSpan | None]] = []
        free = 0
        for span in self._flat_gold(encoded):
            start, end = encoded.document.aligned.to_current(span.start, span.end)
            first = max(free, int(np.searchsorted(units.ends, start, side="right")))
            after = int(np.searchsorted(units.starts, end, side="left"))
            if start < end and first < after:
                placed.append((span, (first, after, span.label)))
                free = after
            else:
                placed.append((span, None))
        return placed

    def _flat_gold(self, encoded: EncodedDocument) -> list[Span]:
        document = encoded.document
        if document.gold is None:
            raise InvalidDocumentError(f"document {document.id!r} has no gold annotation to learn from")
        spans = sorted(document.gold.spans, key=lambda span: (span.start, span.end))
        for span in spans:
            if span.label not in self.labels:
                raise InvalidDocumentError(
                    f"document {document.id!r}: gold label {span.label!r} is not among the labels {self.labels!r}"
                )
        for one, other in pairwise(spans):
            if other.start < one.end:
                raise InvalidDocumentError(
                    f"document {document.id!r}: gold spans {one!r} and {other!r} overlap, which the flat scheme "
                    f"{self.scheme} cannot express; remove one of them from the data"
                )
        return spans

    def _units(self, encoded: EncodedDocument) -> _Units:
        tokens = self._unit_tokens(encoded)
        read = encoded.offsets[: encoded.tokens_read]
        ends = np.where(read[:, 0] < read[:, 1], read[:, 1], 0)
        return _Units(tokens, read[tokens, 0], np.maximum.reduceat(ends, tokens) if len(tokens) else tokens)

    def _unit_tokens(self, encoded: EncodedDocument) -> NDArray[np.int64]:
        """`[units]`: position of the first token of each unit that was read; an empty token is none."""
        if self.aggregation != "none":
            starts = encoded.word_starts[: np.searchsorted(encoded.word_starts, encoded.tokens_read)]
            return starts if self.words == "tokenizer" else starts[_after_white_space(encoded, starts)]
        read = encoded.offsets[: encoded.tokens_read]
        before = np.maximum.accumulate(np.append(0, read[:-1, 1]))
        first_of_its_characters: NDArray[np.int64] = np.flatnonzero((read[:, 0] < read[:, 1]) & (read[:, 0] >= before))
        return first_of_its_characters

    def _unit_logits(self, logits: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.aggregation == "first" or len(starts) == len(logits):
            first: NDArray[np.float32] = logits[starts]
            return first
        if self.aggregation == "max":
            highest: NDArray[np.float32] = np.maximum.reduceat(logits, starts)
            return highest
        sizes = np.diff(np.append(starts, len(logits)))
        mean: NDArray[np.float32] = (np.add.reduceat(logits, starts) / sizes[:, None]).astype(np.float32)
        return mean


def _in_row(row: Row, content: NDArray[np.int64], *, fill: int) -> NDArray[np.int64]:
    """Tag ids of a window's tokens at their place in the input row, and `fill` elsewhere."""
    labels = np.full(len(row.input_ids), fill, dtype=np.int64)
    labels[row.content] = content
    return labels


def _joined(one: Span, other: Span) -> Span:
    """Two spans that share raw characters: both, if they have one label, or else the more certain one."""
    best = max(one, other, key=lambda span: span.score or 0.0)
    if one.label != other.label:
        return best
    return best.model_copy(update={"start": one.start, "end": max(one.end, other.end)})


def _after_white_space(encoded: EncodedDocument, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the tokens stand at the start of the text or behind white space."""
    text = encoded.document.text
    return np.array([start == 0 or text[start - 1].isspace() for start in encoded.offsets[tokens, 0].tolist()], bool)
