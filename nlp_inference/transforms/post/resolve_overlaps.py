"""Removal of overlaps between predicted spans."""

from bisect import bisect_left
from collections.abc import Sequence

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.document.annotation import Strategy, priority
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._spans import replace_spans


class ResolveOverlaps(PostTransform):
    """Keep spans from the best to the worst, each only if it does not overlap a kept span.

    Ties are resolved by length (by score with `longest`), then the earlier start, then the label that sorts first, then
    the lower index. Adjacent spans do not overlap. The order of the kept spans does not change. The time is O(n log n)
    for n spans, with any overlaps.

    Args:
        strategy: `score`: the better score wins, and no score loses to any score; `longest`: the longer span wins.

    Example:
        >>> spans = (Span(start=0, end=9, label="ORG", score=0.6), Span(start=5, end=9, label="CITY", score=0.9))
        >>> document = Document(raw_text="Bank Rome", predicted=Annotation(spans=spans))
        >>> for strategy in ("score", "longest"):
        ...     print([span.label for span in ResolveOverlaps(strategy=strategy)(document).predicted.spans])
        ['CITY']
        ['ORG']
    """

    name = "resolve_overlaps"

    strategy: Strategy = "score"

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return `annotation` without overlapping spans."""
        spans = annotation.spans
        taken = _Taken(spans)
        order = sorted(range(len(spans)), key=lambda position: priority(spans[position], self.strategy))
        kept = sorted(position for position in order if taken.take(spans[position]))
        return replace_spans(annotation, ((spans[position], (position,)) for position in kept))


class _Taken:
    """The ranges of the kept spans, which do not overlap.

    A Fenwick tree of maxima over the sorted starts gives the largest end among the ranges that start before a given
    position: a span is free if that end is not after its start. Fenwick, "A new data structure for cumulative frequency
    tables", Software: Practice and Experience 24 (1994).
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._starts = sorted({span.start for span in spans})
        self._ends = [0] * (len(self._starts) + 1)

    def take(self, span: Span) -> bool:
        """Add the range of `span` if it is free, and return whether it was."""
        if self._last_end_before(span.end) > span.start:
            return False
        node = bisect_left(self._starts, span.start) + 1
        while node < len(self._ends):
            self._ends[node] = max(self._ends[node], span.end)
            node += node & -node
        return True

    def _last_end_before(self, place: int) -> int:
        node, end = bisect_left(self._starts, place), 0
        while node:
            end = max(end, self._ends[node])
            node &= node - 1
        return end
