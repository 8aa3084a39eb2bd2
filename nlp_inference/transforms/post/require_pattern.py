"""Removal of predicted spans that do not match a pattern."""

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._matching import Pattern, Seconds, full_matcher
from nlp_inference.transforms.post._spans import Labels, keep_spans


class RequirePattern(PostTransform):
    r"""Keep a span only if the pattern matches its entire raw surface.

    Args:
        pattern: a pattern of the `regex` module, which supports the syntax of `re`.
        labels: the labels that must match, one or several; spans of other labels are kept. The default is every label.
        timeout: seconds of CPU time that the pattern may take on all spans of one document, because a pattern of a
            model may be hostile.

    Raises:
        PatternTimeoutError: when applied, if the pattern takes longer than `timeout` on one document.

    Example:
        >>> spans = (Span(start=0, end=4, label="YEAR"), Span(start=5, end=9, label="YEAR"))
        >>> document = Document(raw_text="1999 soon", predicted=Annotation(spans=spans))
        >>> kept = RequirePattern(pattern=r"[12]\d{3}", labels=("YEAR",))(document)
        >>> [document.surface(span) for span in kept.predicted.spans]
        ['1999']
    """

    name = "require_pattern"

    pattern: Pattern
    labels: Labels | None = None
    timeout: Seconds = 2.0

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return `annotation` without the spans that do not match."""
        matches = full_matcher(self.pattern, timeout=self.timeout)
        labels = self.labels

        def keeps(span: Span) -> bool:
            return (labels is not None and span.label not in labels) or matches(document.surface(span))

        return keep_spans(annotation, keeps)
