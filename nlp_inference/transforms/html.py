"""HTML: tags go, entities become characters, the text stays."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import unescape
from html.entities import html5
from typing import NamedTuple

import regex

from nlp_inference.aligned_text import Edit
from nlp_inference.transforms.base import Transform

_BLOCK_NAMES = """
    address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li main menu nav ol optgroup option p pre section
    select summary table tbody td textarea tfoot th thead title tr ul
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_UNREAD = ("script", "style")

_MARKUP = r"""
    <!--(?: -?> | (?P<comment>) )                                      # a comment; the two empty ones end at once
  | <(?P<bogus> [!?] | /(?=[^a-zA-Z]) )                                # <!doctype>, <?xml>, </ >: up to the next >
  | <(?P<close>/?) (?P<tag>[a-zA-Z][^\t\n\f\r\x20/>]*+)
  | &(?: \#(?: (?P<decimal>[0-9]++) | [xX](?P<hex>[0-9a-fA-F]++) );?+ | (?P<name>[a-zA-Z][a-zA-Z0-9]{1,31}+;?+) )
"""
_ATTRIBUTES = r"""(?: [^>=]++ | =\s*+ (?: "[^"]*+" | '[^']*+' )?+ )*+ >"""


class StripHtml(Transform):
    """Remove HTML markup with a tokenizer after the HTML standard, in linear time for any input.

    Tags, comments, declarations, and the content of script and style go. Character references become the characters
    that `html.unescape` says, with or without semicolon. A `<` that begins no tag stays (`3 < 5`), and so does, unlike
    in a browser, a tag that is never closed by `>` (`a <b and c`): it is text more often than markup. An unclosed
    comment, script or style reaches to the end, as in a browser.

    Args:
        separator: stands for the tags that begin and end blocks or lines (p, div, li, td, br, ...) so that words do not
            run together; once for tags that touch, and not at the ends of the text. All other tags leave nothing.

    Source: https://html.spec.whatwg.org/multipage/parsing.html#tokenization

    Example:
        >>> from nlp_inference.document import Document
        >>> document = StripHtml()(Document(raw_text="<p>Caf&eacute; <b>No</b>ir</p><p>3 < 5</p>"))
        >>> document.text, document.aligned.to_raw(0, 4)
        ('Café Noir\\n3 < 5', (3, 14))
    """

    name = "strip_html"

    separator: str = "\n"

    def propose(self, text: str) -> Iterator[Edit]:
        """Return one edit for all markup that touches, and one for every character reference."""
        start = end = 0
        is_block = False
        for token in _tokens(text):
            if token.replacement is None and token.start == end and start < end:
                end, is_block = token.end, is_block or token.is_block
                continue
            yield from self._removal(text, start, end, is_block=is_block)
            start, end, is_block = token.start, token.end, token.is_block
            if token.replacement is not None:
                yield Edit(start, end, token.replacement)
                start = end
        yield from self._removal(text, start, end, is_block=is_block)

    def _removal(self, text: str, start: int, end: int, *, is_block: bool) -> Iterable[Edit]:
        if start == end:
            return ()
        return (Edit(start, end, self.separator if is_block and start > 0 and end < len(text) else ""),)


class _Token(NamedTuple):
    """A stretch of markup (`replacement` is None) or a character reference."""

    start: int
    end: int
    replacement: str | None = None
    is_block: bool = False


def _tokens(text: str) -> Iterator[_Token]:
    markup, attributes = _compiled()
    last_close = text.rfind(">")
    quotes_close = True  # until a tag is met whose quotes swallow the rest; to try that at every tag would be quadratic
    position = 0
    while match := markup.search(text, position):
        start, position = match.span()
        if match["decimal"] or match["hex"]:
            yield _Token(start, position, _numeric(match))
        elif match["name"]:
            name = _longest_name(match["name"])
            if name:
                position = start + 1 + len(name)
                yield _Token(start, position, html5[name])
        elif match["tag"] is None:
            position = _end_of_comment(text, match)
            yield _Token(start, position)
        elif position <= last_close:
            closed = attributes.match(text, position) if quotes_close else None
            quotes_close = closed is not None
            position = closed.end() if closed else text.find(">", position) + 1
            tag = match["tag"].lower()
            if tag in _UNREAD and not match["close"]:
                position = _end_of_unread(text, tag, position)
            yield _Token(start, position, is_block=tag in _BLOCKS)


@lru_cache(maxsize=1)
def _compiled() -> "tuple[regex.Pattern[str], regex.Pattern[str]]":
    return regex.compile(_MARKUP, regex.VERBOSE), regex.compile(_ATTRIBUTES, regex.VERBOSE)


def _end_of_comment(text: str, match: "regex.Match[str]") -> int:
    position = int(match.end())
    if match["bogus"] is not None:
        return text.find(">", position) + 1 or len(text)
    if match["comment"] is None:
        return position
    end = regex.compile("--!?>").search(text, position)
    return int(end.end()) if end else len(text)


def _end_of_unread(text: str, tag: str, start: int) -> int:
    """Where the content of a script or style ends: before its end tag."""
    end = regex.compile(rf"</{tag}(?=[\s/>])", regex.IGNORECASE | regex.ASCII).search(text, start)
    return int(end.start()) if end else len(text)


def _numeric(match: "regex.Match[str]") -> str:
    """The character of a numeric reference; a number of any length is read without computing it."""
    digits = (match["decimal"] or match["hex"]).lstrip("0") or "0"
    if len(digits) > 7:
        return "\ufffd"
    return unescape(f"&#{'x' if match['hex'] else ''}{digits};")


@lru_cache(maxsize=1024)
def _longest_name(name: str) -> str:
    """The longest known reference that `name` begins with, or nothing."""
    return next((name[:length] for length in range(len(name), 1, -1) if name[:length] in html5), "")
