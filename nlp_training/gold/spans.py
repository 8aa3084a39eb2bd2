"""Labeled spans: exact offsets and labels are compared."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from nlp_inference.document import Annotation, Document, Span
from nlp_training.gold.base import MISSED, SPURIOUS, UNKNOWN_LABEL, WRONG_LABEL, Compared, GoldKind, Learnable, Mistake
from nlp_training.metrics import Calibration, DocumentMetric, PairedBootstrap, SpanF1, SpanMatching, TokenF1
from nlp_training.metrics.calibration import CALIBRATION_DETAILS
from nlp_training.metrics.documents import Part, Score
from nlp_training.metrics.matching import pair_by_place
from nlp_training.metrics.spans import SpanKey
from nlp_training.metrics.tokens import token_spans

WRONG_BOUNDARY = "wrong boundary"
WRONG_BOTH = "wrong label and boundary"

OVERLAPS = "overlaps in a flat scheme"
"""The cause of gold that a flat task cannot learn."""


def _spans(document: Document, gold: Annotation) -> tuple[Any, Any]:
    return _span_list(document.predicted or Annotation()), _span_list(gold)


def _span_list(annotation: Annotation) -> list[dict[str, Any]]:
    return [{"start": span.start, "end": span.end, "label": span.label} for span in annotation.spans]


def _tokens(document: Document, gold: Annotation) -> tuple[Any, Any]:
    predicted = document.predicted or Annotation()
    found, wanted = token_spans(document.raw_text, predicted.spans, gold.spans)
    return found, wanted


def _confidences(document: Document, gold: Annotation) -> tuple[Any, Any]:
    wanted = {_key(span) for span in gold.spans}
    predicted = document.predicted or Annotation()
    scored = [span for span in predicted.spans if span.score is not None]
    return [span.score for span in scored], [int(_key(span) in wanted) for span in scored]


class Spans(GoldKind):
    """Labeled spans of the raw text, as `Annotation.spans`."""

    name = "spans"
    noun = "spans"
    has_spans = True
    shows_spans = True
    metric = DocumentMetric(
        main=Part(SpanF1, _spans),
        further={
            "matching": Part(SpanMatching, _spans),
            "tokens": Part(TokenF1, _tokens),
            "calibration": Part(Calibration, _confidences),
        },
        details={
            "weighted F1": ("averages", "weighted", "f1"),
            "strict F1 (boundaries and label)": ("matching", "strict", "f1"),
            "exact F1 (boundaries)": ("matching", "exact", "f1"),
            "partial F1 (boundaries, half for an overlap)": ("matching", "partial", "f1"),
            "type F1 (label, any overlap)": ("matching", "type", "f1"),
            "token F1": ("tokens", "f1"),
            **CALIBRATION_DETAILS,
        },
        paired=PairedBootstrap,
        scores=(Score("f1"), Score("precision"), Score("recall"), Score("macro_f1")),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        WRONG_LABEL: "right characters, another label",
        WRONG_BOUNDARY: "right label, other characters that overlap",
        WRONG_BOTH: "another label, and other characters that overlap",
        MISSED: "gold without a prediction of its own",
        SPURIOUS: "a prediction without gold of its own",
    }
    pairs_shown = 6

    def labels(self, gold: Annotation) -> list[str]:
        """Return the label of each span."""
        return [span.label for span in gold.spans]

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return label, start and end of each span."""
        return [Compared(span.label, span.start, span.end) for span in annotation.spans]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold that has a category or a text and does not say that it has no spans."""
        if self.has_only_text(gold):
            return "has no spans, only a text to generate. Add its spans (the list may be empty)"
        if "spans" in gold.model_fields_set or not gold.categories:
            return None
        found = ", ".join(repr(category.label) for category in gold.categories)
        return (
            f"has no spans, only the label {found}. Add its spans (the list may be empty), or choose a task that "
            "learns from labels"
        )

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:
        """Omit spans with unknown labels and, for flat tasks, as few overlapping spans as possible."""
        known = [span for span in gold.spans if labels is None or span.label in labels]
        kept = _without_overlaps(known) if flat else known
        lost = [(_compared(span), UNKNOWN_LABEL) for span in gold.spans if span not in known]
        lost += [(_compared(one), OVERLAPS) for one in (Counter(known) - Counter(kept)).elements()]
        return Learnable(gold.model_copy(update={"spans": tuple(kept), "relations": ()}) if lost else gold, lost)

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Pair equal spans first, then each remaining span with one that it overlaps."""
        found = {_key(span): span for span in predicted.spans}
        wanted = {_key(span): span for span in gold.spans}
        for key in sorted(found.keys() & wanted.keys()):
            yield Mistake(None, wanted[key], found[key])
        found_rest, gold_rest = sorted(found.keys() - wanted.keys()), sorted(wanted.keys() - found.keys())
        pairs = list(pair_by_place(found_rest, gold_rest))
        for one, other in pairs:
            yield Mistake(_mistake_of_pair(one, other), wanted[other], found[one])
        paired_found, paired_gold = {one for one, _ in pairs}, {other for _, other in pairs}
        yield from (Mistake(MISSED, wanted[key], None) for key in gold_rest if key not in paired_gold)
        yield from (Mistake(SPURIOUS, None, found[key]) for key in found_rest if key not in paired_found)


def _key(span: Span) -> SpanKey:
    return span.start, span.end, span.label


def _compared(span: Span) -> Compared:
    return Compared(span.label, span.start, span.end)


def _mistake_of_pair(one: SpanKey, other: SpanKey) -> str:
    if one[2] == other[2]:
        return WRONG_BOUNDARY
    return WRONG_LABEL if one[:2] == other[:2] else WRONG_BOTH


def _without_overlaps(spans: Sequence[Span]) -> list[Span]:
    """Return as many disjoint spans as possible: always the one that ends first (Kleinberg and Tardos, 2005)."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.end, -span.start)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
