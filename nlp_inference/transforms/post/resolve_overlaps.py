"""Of predicted spans that overlap, keep the better one."""

from bisect import bisect_left
from collections.abc import Sequence

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.document.annotation import Strategy, priority
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._spans import replace_spans


class ResolveOverlaps(PostTransform):
    """Keep spans from the best to the worst, each only if it overlaps none that is kept already.

    Ties are settled by length (by score with `longest`), then the earlier start, then the label that sorts first, then
    the earlier position. Spans that only touch do not overlap. The kept spans stay in the order they came in. Takes
    O(n log n) time for n spans, however they overlap.

    Args:
        strategy: `score`: the better score wins, no score loses to any score; `longest`: the longer span wins.

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
        """Return `annotation` with no two spans that overlap."""
        spans = annotation.spans
        taken = _Taken(spans)
        order = sorted(range(len(spans)), key=lambda position: priority(spans[position], self.strategy))
        kept = sorted(position for position in order if taken.take(spans[position]))
        return replace_spans(annotation, ((spans[position], (position,)) for position in kept))


class _Taken:
    """The stretches of the text that are taken, none of which overlap.

    A Fenwick tree of maxima over the sorted starts gives the largest end among the stretches that start before a given
    place: a span is free if that end is not after its start. Fenwick, "A new data structure for cumulative frequency
    tables", Software: Practice and Experience 24 (1994).
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._starts = sorted({span.start for span in spans})
        self._ends = [0] * (len(self._starts) + 1)

    def take(self, span: Span) -> bool:
        """Take the stretch of `span` if it is free; say whether it was."""
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
