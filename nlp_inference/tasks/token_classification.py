"""Spans that do not overlap, as one tag per word (or token)."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from nlp_inference._utils.cached import cached
from nlp_inference.document import Annotation, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import IGNORED, Row
from nlp_inference.encoding.words import WordRule
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays, BatchDecodedTask, DocumentOutputs, LostSpan
from nlp_inference.tasks.labels import check_labels, label_settings
from nlp_inference.tasks.numeric import CERTAIN, log_softmax
from nlp_inference.tasks.tag_scheme import OUTSIDE, SchemeName, TagScheme, UnitSpan
from nlp_inference.tasks.temperature import SoftmaxTask, Temperature
from nlp_inference.tasks.units import MERGED, UnitRange, Units, known_gold, raw_edges, read_units, why_lost
from nlp_inference.tasks.viterbi import best_valid_tags


class Tagged(NamedTuple):
    """The tags of consecutive units.

    Attributes:
        tags: `[units]`, tag ids.
        confidence: `[units]`, the probability of each tag.
    """

    tags: NDArray[np.int64]
    confidence: NDArray[np.floating[Any]]


class _Found(NamedTuple):
    """A span over the units of a document, and its score."""

    first: int
    after: int
    label: str
    score: float


class TokenClassification(BatchDecodedTask, SoftmaxTask):
    """Find labeled spans that do not overlap.

    Args:
        labels: the labels of the spans, such as `("PERSON", "EMAIL")`.
        scheme: how spans become tags.
        aggregation: how to combine the logits of a word's tokens: those of the `first` token, their `mean` or their
            `max`; `none` tags tokens, for scripts without spaces. Spans start and end where units do.
        words: the definition of a word: `unicode`, a run of letters and digits, with punctuation and symbols as
            separate words, the same for every tokenizer; `whitespace`, the text between white space, for tokenized
            texts; `tokenizer`, the words of the tokenizer. See `nlp_inference.encoding.words.WordRule`.
        temperature: the divisor of logits before the softmax; `calibrate: true` fits it in training. It changes scores,
            but not the spans.
        outside_bias: added to the logit of `O`, the tag outside of spans: negative values find more spans, positive
            values fewer. If spans are rare, a model is biased towards `O`; this corrects the bias, like the logit
            adjustment of Menon et al. (2021, https://arxiv.org/abs/2007.07314). Choose it on validation documents.

    Spans are the valid tag sequence with the highest log-probability. A span's score is the mean probability, over its
    units, of their tags.

    Example:
        >>> task = TokenClassification(labels=("CITY",), scheme="BIO")
        >>> task.model_settings()["id2label"]
        {0: 'O', 1: 'B-CITY', 2: 'I-CITY'}

    Raises:
        pydantic.ValidationError: labels are repeated or missing, or `outside_bias` is not between -10 and 10.
    """

    name = "token-classification"
    auto_model = "AutoModelForTokenClassification"
    encoder_head = "token"
    pipeline_tag = "token-classification"
    needs = "spans"
    flat = True

    labels: tuple[str, ...]
    scheme: SchemeName = "BIO"
    aggregation: Literal["first", "mean", "max", "none"] = "first"
    words: WordRule = "unicode"
    temperature: Temperature = 1.0
    outside_bias: Annotated[float, Field(ge=-10, le=10)] = 0.0

    _check_labels = field_validator("labels")(check_labels)

    @property
    def word_rule(self) -> WordRule:
        """The field `words`."""
        return self.words

    @cached
    def tag_scheme(self) -> TagScheme:
        """The tags that the model predicts."""
        return TagScheme(self.scheme, self.labels)

    def model_settings(self) -> dict[str, Any]:
        """Return `num_labels` and the names of the tags."""
        return label_settings(self.tag_scheme.tags)

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """Return `labels` `[tokens]`, the tag id of each token; with `first`, only of the first token of each word.

        Raises:
            InvalidDocumentError: the document has no gold, gold of an unknown label, or gold spans that overlap.
        """
        units = self._units(encoded)
        token_tags = self._token_tags(encoded, units)
        if self._only_units_learn:
            first = np.full_like(token_tags, IGNORED)
            first[units.tokens] = token_tags[units.tokens]
            token_tags = first
        return [
            {"labels": _in_row(row, token_tags[window.start : window.end], fill=IGNORED)}
            for row, window in zip(rows, encoded.windows, strict=True)
        ]

    @property
    def _only_units_learn(self) -> bool:
        """Whether only the first token of a unit has a target."""
        return self.aggregation == "first"

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return logits that are certain of the gold tags."""
        token_tags = self._token_tags(encoded, self._units(encoded))
        certain = np.eye(len(self.tag_scheme.tags), dtype=np.float32) * CERTAIN
        return [
            {"logits": certain[_in_row(row, token_tags[window.start : window.end], fill=0)]}
            for row, window in zip(rows, encoded.windows, strict=True)
        ]

    def _decode_batch(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Return the spans of the best valid tag sequence over each document; all units are tagged as one array."""
        units = [self._units(one.encoded) for one in outputs]
        with_units = [index for index, its in enumerate(units) if len(its.tokens)]
        annotations = [Annotation()] * len(outputs)
        if with_units:
            found = self._find([outputs[index] for index in with_units], [units[index] for index in with_units])
            for index, spans in zip(with_units, found, strict=True):
                raw = _raw_spans(outputs[index].encoded, units[index], spans)
                annotations[index] = Annotation(spans=tuple(raw))
        return annotations

    def _find(self, outputs: Sequence[DocumentOutputs], units: Sequence[Units]) -> list[list[_Found]]:
        """Return the spans of each document; every document has units."""
        logits = np.concatenate([self._unit_logits(*both) for both in zip(outputs, units, strict=True)])
        logits[:, OUTSIDE] += np.float32(self.outside_bias)
        begins = [0, *accumulate(len(one.tokens) for one in units[:-1])]
        tagged = self._tag(logits, begins, outputs)
        spans = self.tag_scheme.decode(tagged.tags, begins=begins)
        found: list[list[_Found]] = [[] for _ in outputs]
        for (first, after, label), score in zip(spans, _means(tagged.confidence, spans), strict=True):
            index = bisect_right(begins, first) - 1
            found[index].append(_Found(first - begins[index], after - begins[index], label, score))
        return found

    def _tag(self, logits: NDArray[np.float32], begins: Sequence[int], outputs: Sequence[DocumentOutputs]) -> Tagged:  # noqa: ARG002
        """Return the best valid tags of documents.

        Args:
            logits: `[units, tags]`, of all documents, concatenated.
            begins: the position of the first unit of each document.
            outputs: of the documents.
        """
        scores = log_softmax(logits, temperature=self.temperature)
        tags = best_valid_tags(scores, self.tag_scheme, begins=begins)
        return Tagged(tags, np.exp(scores[np.arange(len(tags)), tags]))

    def _unit_logits(self, outputs: DocumentOutputs, units: Units) -> NDArray[np.float32]:
        """Return `[units, tags]` of a document, joined over its windows."""
        logits = outputs.of_tokens("logits")
        starts = units.tokens
        if self.aggregation == "first" or len(starts) == len(logits):
            first: NDArray[np.float32] = logits[starts]
            return first
        if self.aggregation == "max":
            highest: NDArray[np.float32] = np.maximum.reduceat(logits, starts)
            return highest
        sizes = np.diff(np.append(starts, len(logits)))
        mean: NDArray[np.float32] = (np.add.reduceat(logits, starts) / sizes[:, None]).astype(np.float32)
        return mean

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:
        """Return the gold spans that no model can predict, each with the cause."""
        units = self._units(encoded)
        placed = self._place_gold(encoded, units)
        in_units = [(*touched, span.label) for span, touched in placed if touched is not None]
        found = self.tag_scheme.decode(self.tag_scheme.encode(len(units.tokens), in_units))
        spans = _raw_spans(encoded, units, [_Found(*one, score=1.0) for one in found])
        recovered = {(span.start, span.end, span.label) for span in spans}
        merged = f"{MERGED} {self.scheme}"
        return [
            LostSpan(span, why_lost(encoded, units, span, touched) or merged)
            for span, touched in placed
            if (span.start, span.end, span.label) not in recovered
        ]

    def _token_tags(self, encoded: EncodedDocument, units: Units) -> NDArray[np.int64]:
        """Return `[tokens read]`, the gold tag of the unit that each token belongs to."""
        placed = [(*one, span.label) for span, one in self._place_gold(encoded, units) if one is not None]
        tags = np.append(0, self.tag_scheme.encode(len(units.tokens), placed))  # tokens before the first unit are O
        return tags[np.searchsorted(units.tokens, np.arange(encoded.tokens_read), side="right")]

    def _place_gold(self, encoded: EncodedDocument, units: Units) -> list[tuple[Span, UnitRange | None]]:
        """Return each gold span with the units that it touches, except those of earlier spans."""
        placed: list[tuple[Span, UnitRange | None]] = []
        free = 0
        for span in self._flat_gold(encoded):
            touched = units.touched_by(encoded, span, free=free)
            placed.append((span, touched))
            free = free if touched is None else touched[1]
        return placed

    def _flat_gold(self, encoded: EncodedDocument) -> list[Span]:
        spans = known_gold(encoded, self.labels)
        for one, other in pairwise(spans):
            if other.start < one.end:
                raise InvalidDocumentError(
                    f"document {encoded.document.id!r}: gold spans {one!r} and {other!r} overlap, which the flat "
                    f"scheme {self.scheme} cannot express; remove one of them from the data"
                )
        return spans

    def _units(self, encoded: EncodedDocument) -> Units:
        return read_units(encoded, are_tokens=self.aggregation == "none")


def _means(confidence: NDArray[np.floating[Any]], spans: Sequence[UnitSpan]) -> list[float]:
    """Return the mean confidence of each span; spans do not overlap."""
    if not spans:
        return []
    edges = np.array([(first, after) for first, after, _ in spans])
    sums = np.add.reduceat(np.append(confidence, confidence.dtype.type(0)), edges.ravel())[::2]
    means: list[float] = (sums / (edges[:, 1] - edges[:, 0]).astype(confidence.dtype)).tolist()
    return means


def _raw_spans(encoded: EncodedDocument, units: Units, found: Sequence[_Found]) -> list[Span]:
    """Return spans over units in raw coordinates; spans that share raw characters because of an edit are merged."""
    spans: list[Span] = []
    edges = raw_edges(encoded, [(int(units.starts[one.first]), int(units.ends[one.after - 1])) for one in found])
    for (start, end), one in zip(edges, found, strict=True):
        if start == end:  # the raw text is empty, and all characters were inserted
            continue
        span = Span(start=start, end=end, label=one.label, score=one.score)
        if spans and start < spans[-1].end:
            span = _joined(spans.pop(), span)
        spans.append(span)
    return spans


def _in_row(row: Row, content: NDArray[np.int64], *, fill: int) -> NDArray[np.int64]:
    """Return the tag ids of a window's tokens at their positions in the input row, and `fill` elsewhere."""
    labels = np.full(len(row.input_ids), fill, dtype=np.int64)
    labels[row.content] = content
    return labels


def _joined(one: Span, other: Span) -> Span:
    """Return the union of two spans that share raw characters, or the more certain one if their labels differ."""
    best = max(one, other, key=lambda span: span.score or 0.0)
    if one.label != other.label:
        return best
    return best.model_copy(update={"start": one.start, "end": max(one.end, other.end)})
