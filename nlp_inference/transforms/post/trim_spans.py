"""Trimming of white space and other characters at the ends of predicted spans."""

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post._spans import replace_spans

_INVISIBLE = "\u200b\u2060\ufeff"  # zero-width space, word joiner, byte order mark, which `str.isspace` excludes


class TrimSpans(PostTransform):
    """Remove white space and `characters` from both ends of every span, and remove spans that become empty.

    White space is defined by `str.isspace`, plus the zero-width space, the word joiner and the byte order mark.

    Args:
        characters: other characters to remove from the ends, for example `".,;:"`.

    Example:
        >>> document = Document(raw_text="To: Ana ,", predicted=Annotation(spans=(Span(start=3, end=9, label="P"),)))
        >>> trimmed = TrimSpans(characters=",")(document)
        >>> [document.surface(span) for span in trimmed.predicted.spans]
        ['Ana']
    """

    name = "trim_spans"

    characters: str = ""

    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return `annotation` with trimmed spans."""
        trimmed = ((self._trim(span, document.raw_text), (i,)) for i, span in enumerate(annotation.spans))
        return replace_spans(annotation, ((span, origins) for span, origins in trimmed if span is not None))

    def _trim(self, span: Span, text: str) -> Span | None:
        start, end = span.start, span.end
        while start < end and self._goes(text[start]):
            start += 1
        while start < end and self._goes(text[end - 1]):
            end -= 1
        if (start, end) == (span.start, span.end):
            return span
        return span.model_copy(update={"start": start, "end": end}) if start < end else None

    def _goes(self, character: str) -> bool:
        return character.isspace() or character in _INVISIBLE or character in self.characters
