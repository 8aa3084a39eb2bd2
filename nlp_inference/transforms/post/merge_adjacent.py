"""Merging of adjacent predicted spans of the same label."""

from math import fsum
from typing import Annotated, Literal

from pydantic import Field

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._matching import Pattern, Seconds, full_matcher
from nlp_inference.transforms.post._spans import Labels, replace_spans


class MergeAdjacent(PostTransform):
    r"""Merge adjacent spans of the same label into one span, which includes the text between them.

    Overlapping spans are not adjacent; use `resolve_overlaps` for them. A sequence of adjacent spans becomes one span,
    at the index of its first part.

    Args:
        max_gap: greatest number of characters between two spans; with 0 they must touch.
        gap: a pattern of the `regex` module that must match the entire text between two spans. The default is white
            space.
        labels: the labels to merge, one or several; the default is every label.
        score: the score of a merged span: the lowest of its parts, the highest, or their mean, weighted by the
            characters of each part. Parts without a score are ignored.
        timeout: seconds of CPU time that the pattern may take on all gaps of one document.

    Raises:
        PatternTimeoutError: when applied, if the pattern takes longer than `timeout` on one document.

    Example:
        >>> spans = (Span(start=0, end=3, label="P", score=0.9), Span(start=4, end=7, label="P", score=0.8))
        >>> document = Document(raw_text="Ana Lee", predicted=Annotation(spans=spans))
        >>> MergeAdjacent()(document).predicted.spans
        (Span(start=0, end=7, label='P', score=0.8),)
    """

    name = "merge_adjacent"

    max_gap: Annotated[int, Field(ge=0)] = 1
    gap: Pattern = r"\s+"
    labels: Labels | None = None
    score: Literal["min", "mean", "max"] = "min"
    timeout: Seconds = 2.0

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return `annotation` with adjacent spans of the same label merged."""
        spans = annotation.spans
        rows = self._rows(spans, document.raw_text)
        rows.sort(key=lambda row: row[0])
        return replace_spans(annotation, ((self._join([spans[i] for i in row]), tuple(row)) for row in rows))

    def _rows(self, spans: tuple[Span, ...], text: str) -> list[list[int]]:
        """Group the indices of spans that become one, each group from left to right."""
        matches = full_matcher(self.gap, timeout=self.timeout)
        rows: list[list[int]] = []
        last_rows: dict[str, list[int]] = {}  # for each label, the group with the greatest end
        for position in sorted(range(len(spans)), key=lambda i: (spans[i].start, spans[i].end)):
            span = spans[position]
            last = last_rows.get(span.label) if self.labels is None or span.label in self.labels else None
            gap = span.start - spans[last[-1]].end if last else -1
            if last and 0 <= gap <= self.max_gap and (gap == 0 or matches(text[span.start - gap : span.start])):
                last.append(position)
                continue
            rows.append([position])
            if not last or span.end > spans[last[-1]].end:
                last_rows[span.label] = rows[-1]
        return rows

    def _join(self, parts: list[Span]) -> Span:
        if len(parts) == 1:
            return parts[0]
        score = self._score([(part.score, part.end - part.start) for part in parts if part.score is not None])
        return Span(start=parts[0].start, end=parts[-1].end, label=parts[0].label, score=score)

    def _score(self, scores: list[tuple[float, int]]) -> float | None:
        if not scores:
            return None
        if self.score == "mean":
            return fsum(score * length for score, length in scores) / sum(length for _, length in scores)
        return (min if self.score == "min" else max)(score for score, _ in scores)
