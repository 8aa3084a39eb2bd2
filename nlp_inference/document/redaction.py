"""Redaction: replacement of the predicted spans in the raw text."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from string import Formatter
from typing import Literal

import regex

from nlp_inference.document import Document, Span
from nlp_inference.document.aligned_text import Range
from nlp_inference.document.annotation import priority
from nlp_inference.document.deletions import TAG_LETTERS, merge_ranges, trim_ranges
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError

FIELDS = ("end", "entity", "index", "label", "length", "start", "surface")
"""The fields of a template."""


UNREAD = "UNREAD"
"""The label that masks text that the model did not see."""

Unseen = Literal["mask", "refuse", "keep"]


def redact(
    document: Document, template: str = "[{label}]", *, allow_truncated: bool = False, unseen: Unseen = "mask"
) -> str:
    """Replace the predicted spans in the raw text, and the text that the model did not see.

    The model does not see text that no token covers, that preprocessing deleted (comments and attribute values of HTML,
    the matches of a pattern, masked addresses), or that is under unknown tokens: `Coverage.not_seen`. Whether such text
    is sensitive is unknown, so by default it is masked under the label `UNREAD`. Ranges of white space, punctuation
    and invisible characters are never masked, and neither is white space at the edges of a range.

    Spans of all heads are replaced. Overlapping spans are replaced once, from the start of the first to the end of the
    last, under the label of the span with the best score; with equal scores or none, of the longest, then the first.
    Adjacent spans are replaced separately.

    Args:
        document: a document with a prediction.
        template: the replacement of a span. Its fields are `{label}`; `{index}`, the number of the replacement in the
            text, from 1; `{entity}`, the number of its surface among the surfaces of its label, from 1, so that equal
            surfaces get equal numbers; `{surface}`, the replaced characters; `{start}`, `{end}` and `{length}` of the
            replaced text, in raw characters. Write `{{` and `}}` for braces.
        allow_truncated: whether to return a text of which the model read only the beginning. `unseen` applies to the
            rest of the text.
        unseen: the treatment of text that the model did not see and that no span covers. `"mask"` replaces it as if it
            were a span with the label `UNREAD`; if a span covers a part of it, only the rest is masked. `"refuse"`
            raises an error. `"keep"` keeps it in the result.

    Raises:
        InvalidDocumentError: the document has no prediction, a prediction without coverage (which only `"keep"`
            allows), was truncated, or contains unseen text that is refused.
        InvalidSpecError: the template is malformed or names an unknown field.

    Example:
        >>> from nlp_inference.document import Annotation, Coverage
        >>> spans = tuple(Span(start=start, end=start + 3, label="P") for start in (0, 8, 16))
        >>> read = Coverage(characters=20, read=20, windows=1)
        >>> document = Document(raw_text="Ana met Bob and Ana.", predicted=Annotation(spans=spans), coverage=read)
        >>> redact(document)
        '[P] met [P] and [P].'
        >>> redact(document, "<{label}_{entity}>")
        '<P_1> met <P_2> and <P_1>.'
    """
    if document.predicted is None:
        raise InvalidDocumentError(
            f"document {document.id!r} has no prediction to redact; call Predictor.predict first"
        )
    if document.coverage is not None and document.coverage.truncated and not allow_truncated:
        raise InvalidDocumentError(
            f"document {document.id!r} was truncated, so its rest would be returned unread and unredacted; "
            "read long texts in windows (on_overflow: split), or pass allow_truncated=True"
        )
    spans = _unions(document.predicted.all_spans())
    hidden = [] if unseen == "keep" else _hidden(document, spans)
    if hidden and unseen == "refuse":
        start, end = hidden[0]
        raise InvalidDocumentError(
            f"document {document.id!r}: the model did not see {len(hidden)} range(s) of the raw text, the first at "
            f"{start}:{end}, so they cannot be redacted; mask them with unseen='mask', or keep them with 'keep'"
        )
    spans += [Span(start=start, end=end, label=UNREAD) for start, end in hidden]
    pieces: list[str] = []
    position = 0
    for span, replacement in _replacements(document, sorted(spans, key=_start), _parse(template)):
        pieces += document.raw_text[position : span.start], replacement
        position = span.end
    return "".join([*pieces, document.raw_text[position:]])


def _hidden(document: Document, spans: Sequence[Span]) -> list[Range]:
    """Return the unseen, uncovered ranges that are not only white space, punctuation and invisible characters, trimmed.

    Raises:
        InvalidDocumentError: the document has no coverage.
    """
    harmless, text = _harmless(), document.raw_text
    parts = _uncovered(_not_seen(document), spans)
    return list(trim_ranges(text, (part for part in parts if not harmless.fullmatch(text, *part))))


def _not_seen(document: Document) -> list[Range]:
    """Return the merged ranges of the raw text that the model did not see.

    Raises:
        InvalidDocumentError: the document has no coverage.
    """
    if document.coverage is None:
        raise InvalidDocumentError(
            f"document {document.id!r} has a prediction without coverage, so it is unknown which text the model did "
            "not see; predict it with Predictor.predict, or pass unseen='keep' to redact the spans only"
        )
    length = len(document.raw_text)
    return merge_ranges((start, min(end, length)) for start, end in document.coverage.not_seen)


def _uncovered(ranges: Iterable[Range], spans: Sequence[Span]) -> list[Range]:
    """Return the parts of the ranges that no span covers; both arguments are sorted and without overlap."""
    parts: list[Range] = []
    index = 0
    for start, end in ranges:
        position = start
        while index < len(spans) and spans[index].start < end:
            if position < spans[index].start:
                parts.append((position, spans[index].start))
            position = max(position, spans[index].end)
            if position > end:
                break
            index += 1
        if position < end:
            parts.append((position, end))
    return parts


@lru_cache(maxsize=1)
def _harmless() -> "regex.Pattern[str]":
    return regex.compile(
        rf"[[\s\p{{P}}\p{{Sm}}\p{{Sk}}\p{{Cc}}\p{{Cf}}\p{{Default_Ignorable_Code_Point}}]--[{TAG_LETTERS}]]*+", regex.V1
    )


def _start(span: Span) -> int:
    return span.start


def _replacements(
    document: Document, spans: Sequence[Span], parts: list[tuple[str, str | None]]
) -> Iterator[tuple[Span, str]]:
    """Yield each span and its replacement, from left to right."""
    entities: dict[str, dict[str, int]] = {}
    for index, span in enumerate(spans, start=1):
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
    """Split a template into literal texts, each with the field after it.

    Only bare names are allowed, because a template may come with a model, and `str.format` would let it read attributes
    and pad to any width.
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
                f"template {template!r} contains {'{' + field + extra + '}'!r}; the fields are "
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
