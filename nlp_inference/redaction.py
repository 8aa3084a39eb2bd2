"""The raw text with everything that was found in it replaced."""

from collections.abc import Iterator
from string import Formatter

from nlp_inference.document import Document, Span
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.transforms.post._spans import priority

FIELDS = ("end", "entity", "index", "label", "length", "start", "surface")
"""What a template can name."""


def redact(document: Document, template: str = "[{label}]", *, allow_truncated: bool = False) -> str:
    """Replace the predicted spans in the raw text.

    Spans that overlap are replaced once, from the start of the first to the end of the last, under the label of the
    best scored one; with equal scores or none, of the longest, then the first. Spans that only touch are replaced each.

    Args:
        document: a document with a prediction.
        template: what to put in place of a span. It can name `{label}`; `{index}`, the number of the replacement in the
            text, from 1; `{entity}`, the number of its surface among the surfaces of its label, from 1, so that equal
            surfaces get equal numbers; `{surface}`, the replaced characters; `{start}`, `{end}` and `{length}` of what
            is replaced, in raw characters. Write `{{` and `}}` for braces.
        allow_truncated: whether to return a text that the model read only the beginning of.

    Raises:
        InvalidDocumentError: the document has no prediction, or reading it was cut off.
        InvalidSpecError: the template is malformed or names an unknown field.

    Example:
        >>> from nlp_inference.document import Annotation
        >>> spans = tuple(Span(start=start, end=start + 3, label="P") for start in (0, 8, 16))
        >>> document = Document(raw_text="Ana met Bob and Ana.", predicted=Annotation(spans=spans))
        >>> redact(document)
        '[P] met [P] and [P].'
        >>> redact(document, "<{label}_{entity}>")
        '<P_1> met <P_2> and <P_1>.'
    """
    if document.predicted is None:
        raise InvalidDocumentError(
            f"document {document.id!r} has no prediction to redact; make one with Predictor.predict first"
        )
    if document.coverage is not None and document.coverage.truncated and not allow_truncated:
        raise InvalidDocumentError(
            f"document {document.id!r} was cut off, so that its rest would stand there unread and unredacted; "
            "read long texts in windows (on_overflow: split), or say allow_truncated=True"
        )
    pieces: list[str] = []
    position = 0
    for span, replacement in _replacements(document, document.predicted.spans, _parse(template)):
        pieces += document.raw_text[position : span.start], replacement
        position = span.end
    return "".join([*pieces, document.raw_text[position:]])


def _replacements(
    document: Document, spans: tuple[Span, ...], parts: list[tuple[str, str | None]]
) -> Iterator[tuple[Span, str]]:
    """What is replaced, from left to right, and by what."""
    entities: dict[str, dict[str, int]] = {}
    for index, span in enumerate(_unions(spans), start=1):
        surface = document.surface(span)
        numbers = entities.setdefault(span.label, {})
        entity = numbers.setdefault(surface, len(numbers) + 1)
        yield span, _fill(parts, span, surface, index=index, entity=entity)


def _unions(spans: tuple[Span, ...]) -> list[Span]:
    """Join spans that overlap, each union under the label of its best span."""
    unions: list[Span] = []
    best: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if unions and span.start < unions[-1].end:
            best[-1] = min(best[-1], span, key=lambda candidate: priority(candidate, "score"))
            end = max(unions[-1].end, span.end)
            unions[-1] = unions[-1].model_copy(update={"end": end, "label": best[-1].label})
        else:
            unions.append(span)
            best.append(span)
    return unions


def _parse(template: str) -> list[tuple[str, str | None]]:
    """Take a template apart: literal texts, each with the field after it.

    Only bare names are allowed. Templates may come with a model, and `str.format` would let them read attributes and
    pad to any width.
    """
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise InvalidSpecError(
            f"template {template!r} is malformed: {error}; write {{{{ and }}}} for braces"
        ) from error
    for _, field, form, conversion in parsed:
        if field is not None and (field not in FIELDS or form or conversion):
            extra = f"!{conversion}" if conversion else f":{form}" if form else ""
            raise InvalidSpecError(
                f"template {template!r} holds {'{' + field + extra + '}'!r}; it can hold "
                + ", ".join(f"{{{known}}}" for known in FIELDS)
            )
    return [(literal, field) for literal, field, _, _ in parsed]


def _fill(parts: list[tuple[str, str | None]], span: Span, surface: str, *, index: int, entity: int) -> str:
    values = {
        "end": span.end,
        "entity": entity,
        "index": index,
        "label": span.label,
        "length": len(surface),
        "start": span.start,
        "surface": surface,
    }
    return "".join(literal if field is None else f"{literal}{values[field]}" for literal, field in parts)
