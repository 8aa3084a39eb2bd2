"""Reduction of overlapping gold spans to spans that do not overlap, for tasks that cannot express overlaps."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from nlp_inference.document import Annotation, Document, Span
from nlp_training.data.records import READ_FROM

OverlappingSpans = Literal["error", "outermost", "longest"]
"""How to handle overlapping spans: raise an error, keep those that begin first, or keep the longest."""


class DroppedSpan(NamedTuple):
    """A gold span that was dropped.

    Args:
        document: the document of the span.
        span: the dropped span.
    """

    document: Document
    span: Span

    def __str__(self) -> str:
        read_from = self.document.metadata.get(READ_FROM, self.document.id)
        span = self.span
        return f"{read_from}: {span.start}:{span.end} {span.label} {self.document.surface(span)!r}"


def keep_flat(spans: Sequence[Span], how: OverlappingSpans) -> tuple[int, ...]:
    """Return the indices of the spans to keep, in ascending order. No two of these spans overlap.

    Args:
        spans: spans in any order.
        how: `outermost` selects spans by their start, the longest first if starts are equal; `longest` selects the
            longest first, then by start. A span that overlaps a selected span is dropped. Of identical spans, the first
            is selected.

    Example:
        >>> spans = [Span(start=0, end=4, label="A"), Span(start=2, end=9, label="B"), Span(start=2, end=3, label="C")]
        >>> keep_flat(spans, "outermost"), keep_flat(spans, "longest")
        ((0,), (1,))
    """
    if how == "error":
        return tuple(range(len(spans)))
    priority = {
        "outermost": lambda index: (spans[index].start, -spans[index].end, index),
        "longest": lambda index: (spans[index].start - spans[index].end, spans[index].start, index),
    }[how]
    kept: list[tuple[int, int, int]] = []  # start, end and index, sorted by start
    for index in sorted(range(len(spans)), key=priority):
        slot = bisect_right(kept, (spans[index].start, spans[index].end, index))
        follows = slot == 0 or kept[slot - 1][1] <= spans[index].start
        if follows and (slot == len(kept) or spans[index].end <= kept[slot][0]):
            kept.insert(slot, (spans[index].start, spans[index].end, index))
    return tuple(sorted(index for *_, index in kept))


def without_overlaps(document: Document, how: OverlappingSpans) -> tuple[Document, list[DroppedSpan]]:
    """Return the document without overlapping gold spans, and the dropped spans. Their relations are dropped, too.

    Example:
        >>> gold = Annotation(spans=(Span(start=0, end=9, label="ORG"), Span(start=0, end=4, label="CITY")))
        >>> reduced, dropped = without_overlaps(Document(id="a", raw_text="Rome Zoo.", gold=gold), "outermost")
        >>> [span.label for span in reduced.gold.spans], [str(one) for one in dropped]
        (['ORG'], ["a: 0:4 CITY 'Rome'"])
    """
    gold = document.gold
    if gold is None or how == "error":
        return document, []
    reduced, dropped = _reduced(document, gold, how)
    return (document if reduced is gold else document.with_gold(reduced)), dropped


def _reduced(document: Document, gold: Annotation, how: OverlappingSpans) -> tuple[Annotation, list[DroppedSpan]]:
    """Return the annotation and its heads without overlapping spans, and the dropped spans."""
    of_heads = {name: _reduced(document, one, how) for name, one in gold.heads.items()}
    dropped_of_heads = [span for _, dropped in of_heads.values() for span in dropped]
    if dropped_of_heads:
        gold = gold.model_copy(update={"heads": {name: one for name, (one, _) in of_heads.items()}})
    kept = keep_flat(gold.spans, how)
    if len(kept) == len(gold.spans):
        return gold, dropped_of_heads
    new_index = {index: number for number, index in enumerate(kept)}
    fields = {name: getattr(gold, name) for name in gold.model_fields_set}
    fields["spans"] = tuple(gold.spans[index] for index in kept)
    if gold.relations:
        fields["relations"] = tuple(
            link.model_copy(update={"head": new_index[link.head], "tail": new_index[link.tail]})
            for link in gold.relations
            if link.head in new_index and link.tail in new_index
        )
    dropped = [DroppedSpan(document, span) for index, span in enumerate(gold.spans) if index not in new_index]
    return Annotation(**fields), dropped + dropped_of_heads


def flat_documents(
    documents: Iterable[Document], how: OverlappingSpans, dropped: list[DroppedSpan] | None = None
) -> Iterator[Document]:
    """Apply `without_overlaps` to each document.

    Args:
        documents: the documents to reduce.
        how: see `keep_flat`.
        dropped: a list that receives the dropped spans.
    """
    for document in documents:
        reduced, removed = without_overlaps(document, how)
        if dropped is not None:
            dropped += removed
        yield reduced
