"""Conversion of HTML to text: tags are removed, and entities become characters."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import Field

from nlp_inference.document.aligned_text import Edit, Range
from nlp_inference.document.deletions import has_content
from nlp_inference.transforms import _html_names as names
from nlp_inference.transforms._html_tokens import Token, find_attributes, find_references, find_tokens
from nlp_inference.transforms.base import Transform

_BARE_TAGS = r"(?: </?[a-zA-Z][a-zA-Z0-9]*+[\t\n\f\r\x20/]*+> [\t\n\f\r\x20]*+ )*+"
"""Tags of known elements without attributes, which have no content."""

_DOCTYPE = r"""
    <!doctype (?: \s+html )? (?: \s+(?:public|system) )? (?: \s* (["'])-//(?:W3C|IETF)//DTD\ [^"']*\1 )?
    (?: \s* (["']) (?: about:legacy-compat | https?://www\.w3\.org/[^"']* ) \2 )? \s* >
"""

_DELIMITERS = "<>!?/-[] \t\n\r\f"

_NONE, _WORD, _LINE = range(3)
"""The replacement of removed markup between texts: nothing, a space, or the separator."""

AttributeName = Annotated[str, Field(pattern="^[a-z][a-z0-9:_-]*$")]


class _Piece(NamedTuple):
    """Markup to remove (`replacement` is None) or a character reference."""

    start: int
    end: int
    replacement: str | None = None
    gap: int = _NONE


class StripHtml(Transform):
    """Remove HTML markup with a tokenizer that follows the HTML standard, in linear time for any input.

    Tags, comments, declarations, and script and style with their content are removed. Character references become the
    characters of `html.unescape`, with or without semicolon. The content of title and textarea is text with references;
    that of xmp, iframe, noembed, noframes, everything after plaintext, and CDATA in svg and math is literal text. An
    unclosed comment, script or style extends to the end, as in a browser.

    Text in angle brackets is kept. Unlike in a browser, a tag is removed only if all of these conditions are true:

    - It is closed by `>` (`a <b and c` is kept).
    - Its name is that of an HTML element (in svg and math also one of theirs), has a hyphen and no capital (`my-icon`),
      or has a prefix of Office documents (`o:p`). So `<oliver@example.com>`, `<https://example.com>` and
      `<Oliver Bennett>` are kept, and so is `<Mark>`, which is a name more often than the element.
    - Every attribute without a value has a name of HTML, or a hyphen (`<b and c>` is kept).

    Removed text with letters or digits is reported as deleted (`Coverage.deleted`): attribute values, comments, script,
    style, processing instructions, and names that are unknown in HTML. The names of HTML elements and attributes are
    not reported.

    Args:
        separator: replacement of the tags that begin and end blocks or lines (p, div, li, td, br, ...), so that words
            do not run together; used once for adjacent tags, and not at the ends of the text. All other tags are
            replaced by nothing.
        keep_attributes: names of attributes whose values are kept as text, each between spaces, such as
            `("alt", "title", "href")` for alternative texts, titles and link targets.

    Source: https://html.spec.whatwg.org/multipage/parsing.html#tokenization

    Example:
        >>> from nlp_inference.document import Document
        >>> document = StripHtml()(Document(raw_text="<p>Caf&eacute; <b>No</b>ir</p><p>3 < 5</p>"))
        >>> document.text, document.aligned.to_raw(0, 4)
        ('Café Noir\\n3 < 5', (3, 14))
        >>> StripHtml(keep_attributes=("href",))(Document(raw_text="See <a href='mailto:ana@example.org'>Ana</a>")).text
        'See  mailto:ana@example.org Ana'
    """

    name = "strip_html"
    version = 2

    separator: str = "\n"
    keep_attributes: tuple[AttributeName, ...] = ()

    def propose(self, text: str) -> Iterator[Edit]:
        """Return one edit for each run of adjacent markup, and one for every character reference."""
        start = end = gap = 0
        for piece in self._pieces(text):
            if piece.replacement is None and piece.start == end and start < end:
                end, gap = piece.end, max(gap, piece.gap)
                continue
            yield from self._removal(text, start, end, gap)
            start, end, gap = piece.start, piece.end, piece.gap
            if piece.replacement is not None:
                yield Edit(start, end, piece.replacement)
                start = end
        yield from self._removal(text, start, end, gap)

    def find_deleted(self, text: str, edits: Sequence[Edit]) -> Iterator[Range]:
        """Return the attribute values, comments, scripts, styles and unknown names that were removed."""
        bare = _compiled(_BARE_TAGS)
        if all(bare.fullmatch(text, start, end) for start, end, _ in edits if text[start] != "&"):
            return
        for token in find_tokens(text):
            if token.replacement is None:
                kept = self._kept(text, token)
                for start, end in _content(text, token):
                    if (start, end) not in kept and has_content(text[start:end]):
                        yield start, end

    def _pieces(self, text: str) -> Iterator[_Piece]:
        for token in find_tokens(text):
            if token.replacement is not None:
                yield _Piece(token.start, token.end, token.replacement)
                continue
            kept = self._kept(text, token)
            position, gap = token.start, _LINE if token.is_block else _WORD
            for start, end in kept:
                yield _Piece(position, start, gap=gap)
                for reference in find_references(text, start, end, in_attribute=True):
                    yield _Piece(reference.start, reference.end, reference.replacement)
                position, gap = end, _WORD
            yield _Piece(position, token.end, gap=_LINE if token.is_block else _WORD if kept else _NONE)

    def _kept(self, text: str, token: Token) -> list[Range]:
        """Return the ranges of the attribute values of a start tag that are kept as text."""
        if not self.keep_attributes or token.kind != "tag" or text[token.start + 1] == "/":
            return []
        found = [one for one in find_attributes(text, token) if text[slice(*one.name)].lower() in self.keep_attributes]
        return [one.value for one in found if text[slice(*one.value)].strip()]

    def _removal(self, text: str, start: int, end: int, gap: int) -> Iterable[Edit]:
        if start == end:
            return ()
        inside = start > 0 and end < len(text)
        return (Edit(start, end, ("", " ", self.separator)[gap] if inside else ""),)


def _content(text: str, token: Token) -> Iterator[Range]:
    """Yield the parts of markup that may be content."""
    if token.kind == "tag":
        if not token.is_known:
            yield token.name
        for attribute in find_attributes(text, token):
            if text[slice(*attribute.name)].lower() not in names.ATTRIBUTES:
                yield attribute.name
            yield attribute.value
        yield token.head, token.end
    elif token.kind == "comment" or (token.kind == "doctype" and not _is_standard(text[token.start : token.end])):
        inner = text[token.start : token.end]
        start = token.start + len(inner) - len(inner.lstrip(_DELIMITERS))
        yield start, max(start, token.start + len(inner.rstrip(_DELIMITERS)))


def _is_standard(declaration: str) -> bool:
    return _compiled(_DOCTYPE).fullmatch(declaration) is not None


@lru_cache(maxsize=4)
def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern, re.VERBOSE | re.IGNORECASE)
