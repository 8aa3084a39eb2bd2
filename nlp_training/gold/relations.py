"""Labeled relations between labeled spans."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from nlp_inference.document import Annotation, Document, Relation, Span
from nlp_training.gold.base import (
    MISSED,
    SPURIOUS,
    UNKNOWN_LABEL,
    WRONG_LABEL,
    Compared,
    GoldKind,
    Learnable,
    Link,
    Mistake,
)
from nlp_training.metrics import Calibration, DocumentMetric, RelationBootstrap, RelationBoundaryF1, RelationF1, SpanF1
from nlp_training.metrics.calibration import CALIBRATION_DETAILS
from nlp_training.metrics.documents import Part, Score
from nlp_training.metrics.relations import list_relations

WRONG_TYPE = "wrong label of a span"
WRONG_END = "wrong span"
MISSED_SPAN = "missed with its span"

_Key = tuple[tuple[int, int, str], tuple[int, int, str], str]
"""Head, tail and label of a relation."""


def _relations(document: Document, gold: Annotation) -> tuple[Any, Any]:
    return list_relations(document.predicted or Annotation()), list_relations(gold)


def _spans(document: Document, gold: Annotation) -> tuple[Any, Any]:
    found, wanted = (
        [{"start": span.start, "end": span.end, "label": span.label} for span in one.spans]
        for one in (document.predicted or Annotation(), gold)
    )
    return found, wanted


def _confidences(document: Document, gold: Annotation) -> tuple[Any, Any]:
    wanted, found = _links(gold), _links(document.predicted or Annotation())
    scored = [(one.score, int(key in wanted)) for key, one in found.items() if one.score is not None]
    return [score for score, _ in scored], [right for _, right in scored]


class Relations(GoldKind):
    """Labeled, directed relations between spans, as `Annotation.relations`, and the spans themselves."""

    name = "relations"
    noun = "spans and relations"
    has_spans = True
    metric = DocumentMetric(
        main=Part(RelationF1, _relations),
        further={
            "boundaries": Part(RelationBoundaryF1, _relations),
            "spans": Part(SpanF1, _spans),
            "calibration": Part(Calibration, _confidences),
        },
        details={
            "F1 of relations without the labels of spans": ("boundaries", "f1"),
            "F1 of spans": ("spans", "f1"),
            **CALIBRATION_DETAILS,
        },
        paired=RelationBootstrap,
        scores=(Score("f1"), Score("precision"), Score("recall"), Score("macro_f1")),
    )
    mistakes: ClassVar[Mapping[str, str]] = {
        WRONG_LABEL: "the right spans, another label of the relation",
        WRONG_TYPE: "the right boundaries and the right relation, but another label of one or both spans",
        WRONG_END: "the right label, but one of the two spans is another one or has other boundaries",
        MISSED: "gold without a prediction of its own, whose spans were found",
        MISSED_SPAN: "gold without a prediction of its own, of which a span was not found",
        SPURIOUS: "a prediction without gold of its own",
    }
    pairs_shown = 6
    learned_settings: ClassVar[tuple[str, ...]] = ("labels", "span_labels")

    def learn_settings(self, golds: Sequence[Annotation], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the labels of relations, including inverses that occur in no document, and those of spans."""
        labels = {label for gold in golds for label in self.labels(gold)}
        inverses = settings.get("inverses")
        if isinstance(inverses, Mapping):
            labels |= {*inverses, *inverses.values()}
        return {
            "labels": sorted(labels),
            "span_labels": sorted({span.label for gold in golds for span in gold.spans}),
        }

    def labels(self, gold: Annotation) -> list[str]:
        """Return the label of each relation."""
        return [one.label for one in gold.relations]

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return the spans, and the label of each relation with its head and its tail."""
        spans = [Compared(span.label, span.start, span.end) for span in annotation.spans]
        relations = (Compared(one.label, links=(spans[one.head], spans[one.tail])) for one in annotation.relations)
        return [*spans, *dict.fromkeys(relations)]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold that has only categories, and relations of a span to itself."""
        if gold.categories and not {"spans", "relations"} & gold.model_fields_set:
            found = ", ".join(repr(category.label) for category in gold.categories)
            return f"has neither spans nor relations, only the label {found}. Add them (the lists may be empty)"
        ends = ((one, gold.spans[one.head], gold.spans[one.tail]) for one in gold.relations)
        itself = next((one for one, head, tail in ends if _span_key(head) == _span_key(tail)), None)
        if itself is None:
            return None
        span = gold.spans[itself.head]
        return (
            f"has a relation {itself.label!r} of the span {span.start}:{span.end} {span.label} to itself. Remove it, "
            "or correct its head or its tail"
        )

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Leave out relations with unknown labels."""
        known = tuple(one for one in gold.relations if labels is None or one.label in labels)
        unknown = gold.model_copy(update={"relations": tuple(one for one in gold.relations if one not in known)})
        lost = [(one, UNKNOWN_LABEL) for one in self.compared(unknown) if one.links]
        return Learnable(gold.model_copy(update={"relations": known}) if lost else gold, lost)

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Pair equal relations first, then those that differ in one respect, in the order of `mistakes`."""
        found, wanted = _links(predicted), _links(gold)
        for key in sorted(found.keys() & wanted.keys()):
            yield Mistake(None, wanted[key], found[key])
        found_rest, gold_rest = sorted(found.keys() - wanted.keys()), sorted(wanted.keys() - found.keys())
        for name, is_pair in _PAIRINGS.items():
            for one in list(found_rest):
                other = next((key for key in gold_rest if is_pair(one, key)), None)
                if other is not None:
                    found_rest.remove(one)
                    gold_rest.remove(other)
                    yield Mistake(name, wanted[other], found[one])
        spans = {_span_key(span) for span in predicted.spans}
        for key in gold_rest:
            yield Mistake(MISSED if {*key[:2]} <= spans else MISSED_SPAN, wanted[key], None)
        yield from (Mistake(SPURIOUS, None, found[key]) for key in found_rest)


def _has_other_label(one: _Key, other: _Key) -> bool:
    return one[:2] == other[:2]


def _has_other_types(one: _Key, other: _Key) -> bool:
    return one[2] == other[2] and [end[:2] for end in one[:2]] == [end[:2] for end in other[:2]]


def _has_other_end(one: _Key, other: _Key) -> bool:
    return one[2] == other[2] and (one[0][:2] == other[0][:2] or one[1][:2] == other[1][:2])


_PAIRINGS = {WRONG_LABEL: _has_other_label, WRONG_TYPE: _has_other_types, WRONG_END: _has_other_end}
"""Whether a prediction that is wrong is taken for a gold relation, by the name of the mistake."""


def _links(annotation: Annotation) -> dict[_Key, Link]:
    return {_key(annotation, one): _link(annotation, one) for one in annotation.relations}


def _key(annotation: Annotation, one: Relation) -> _Key:
    return _span_key(annotation.spans[one.head]), _span_key(annotation.spans[one.tail]), one.label


def _link(annotation: Annotation, one: Relation) -> Link:
    return Link(one.label, annotation.spans[one.head], annotation.spans[one.tail], one.score)


def _span_key(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label
