"""Overlapping gold spans of a task that cannot express them: an error, or reduced to those that do not overlap."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from nlp_inference.document import Annotation, Document, Span
from nlp_training.data.records import READ_FROM

OverlappingSpans = Literal["error", "outermost", "longest"]
"""What to do: refuse the documents, or keep of spans that overlap those that begin first, or the longest."""


class DroppedSpan(NamedTuple):
    """A gold span that was dropped.

    Args:
        document: that it was in.
        span: what was dropped.
    """

    document: Document
    span: Span

    def __str__(self) -> str:
        read_from = self.document.metadata.get(READ_FROM, self.document.id)
        span = self.span
        return f"{read_from}: {span.start}:{span.end} {span.label} {self.document.surface(span)!r}"


def keep_flat(spans: Sequence[Span], how: OverlappingSpans) -> tuple[int, ...]:
    """The positions of the spans that are kept, in their order; no two of them overlap.

    Args:
        spans: in any order.
        how: `outermost` takes spans by where they begin, of those that begin together the longest first; `longest`
            takes the longest first, of those of one length the one that begins first. A span that overlaps one that was
            taken is dropped, and of equal spans the first is taken.

    Example:
        >>> spans = [Span(start=0, end=4, label="A"), Span(start=2, end=9, label="B"), Span(start=2, end=3, label="C")]
        >>> keep_flat(spans, "outermost"), keep_flat(spans, "longest")
        ((0,), (1,))
    """
    if how == "error":
        return tuple(range(len(spans)))
    by_place = {
        "outermost": lambda at: (spans[at].start, -spans[at].end, at),
        "longest": lambda at: (spans[at].start - spans[at].end, spans[at].start, at),
    }[how]
    kept: list[tuple[int, int, int]] = []  # start, end and position, by start
    for at in sorted(range(len(spans)), key=by_place):
        place = bisect_right(kept, (spans[at].start, spans[at].end, at))
        follows = place == 0 or kept[place - 1][1] <= spans[at].start
        if follows and (place == len(kept) or spans[at].end <= kept[place][0]):
            kept.insert(place, (spans[at].start, spans[at].end, at))
    return tuple(sorted(at for *_, at in kept))


def without_overlaps(document: Document, how: OverlappingSpans) -> tuple[Document, list[DroppedSpan]]:
    """The document with gold spans that do not overlap, and what was dropped; relations of dropped spans go with them.

    Example:
        >>> gold = Annotation(spans=(Span(start=0, end=9, label="ORG"), Span(start=0, end=4, label="CITY")))
        >>> reduced, dropped = without_overlaps(Document(id="a", raw_text="Rome Zoo.", gold=gold), "outermost")
        >>> [span.label for span in reduced.gold.spans], [str(one) for one in dropped]
        (['ORG'], ["a: 0:4 CITY 'Rome'"])
    """
    gold = document.gold
    if gold is None or how == "error":
        return document, []
    kept = keep_flat(gold.spans, how)
    if len(kept) == len(gold.spans):
        return document, []
    place = {at: number for number, at in enumerate(kept)}
    fields = {name: getattr(gold, name) for name in gold.model_fields_set}
    fields["spans"] = tuple(gold.spans[at] for at in kept)
    if gold.relations:
        fields["relations"] = tuple(
            link.model_copy(update={"head": place[link.head], "tail": place[link.tail]})
            for link in gold.relations
            if link.head in place and link.tail in place
        )
    dropped = [DroppedSpan(document, span) for at, span in enumerate(gold.spans) if at not in place]
    return document.with_gold(Annotation(**fields)), dropped


def flat_documents(
    documents: Iterable[Document], how: OverlappingSpans, dropped: list[DroppedSpan] | None = None
) -> Iterator[Document]:
    """Each document as `without_overlaps` gives it.

    Args:
        documents: to reduce.
        how: see `keep_flat`.
        dropped: receives what is dropped.
    """
    for document in documents:
        reduced, gone = without_overlaps(document, how)
        if dropped is not None:
            dropped += gone
        yield reduced
