r"""Tokenization of HTML into markup, character references and text by the HTML standard, in linear time.

It includes the parts of tree construction that affect the state of the tokenizer: elements whose content is text, and
`svg` and `math`, in which CDATA is text. Source: https://html.spec.whatwg.org/multipage/parsing.html#tokenization
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from html.entities import html5
from typing import Literal, NamedTuple

from nlp_inference.document.aligned_text import Range
from nlp_inference.transforms import _html_names as names

Kind = Literal["tag", "comment", "doctype", "cdata", "reference"]

_RCDATA = ("title", "textarea")
_RAWTEXT = ("xmp", "iframe", "noembed", "noframes")
_REMOVED = ("script", "style")

_SPACE = r"\t\n\f\r\x20"
_REFERENCE = r"""
    &(?: \#(?: (?P<decimal>[0-9]++) | [xX](?P<hex>[0-9a-fA-F]++) );?+ | (?P<name>[a-zA-Z][a-zA-Z0-9]{1,31}+;?+) )
"""
_MARKUP = rf"""
    (?P<cdata><!\[CDATA\[)
  | <!--(?: -?> | (?P<comment>) )                                      # a comment; the two empty ones end at once
  | <(?P<bogus> [!?] | /(?=[^a-zA-Z]) )                                # <!doctype>, <?xml>, </ >: up to the next >
  | <(?P<close>/?) (?P<tag>[a-zA-Z][^{_SPACE}/><]*+)
  | {_REFERENCE}
"""
_ATTRIBUTE = rf"""
    [{_SPACE}/]*+
    (?: (?P<end>>)
      | (?P<name>[^{_SPACE}/>=<]++)
        (?: [{_SPACE}]*+ = [{_SPACE}]*+
            (?: "(?P<double>[^"]*+)" | '(?P<single>[^']*+)' | (?P<bare>(?!["'])[^{_SPACE}>]++) | (?P<none>(?=>)) )
        )?+
    )
"""
_LOOSE = _ATTRIBUTE.replace("(?P<none>(?=>))", "(?P<open>[^>]++) | (?P<none>(?=>))")
"""Pattern for a tag with an unclosed quote, which ends at the first `>`."""
_AUTOLINK = r"<(?: [a-zA-Z][a-zA-Z0-9+.-]{1,31}+ : [^\s<>]*+ | [^\s<>@]++ @ [^\s<>@]++ ) >"
"""Source: https://spec.commonmark.org/0.31.2/#autolinks"""
_CUSTOM = r"[a-z][a-z0-9._]*+(?:-[a-z0-9._]*+)++ | (?: [ovwxm] | st1 | svg | math ):[a-zA-Z][\w.-]*+"
"""Names of custom elements (`my-icon`), and names with the prefixes of Office documents and of XHTML."""
_PLAIN_ATTRIBUTES = rf"""
    (?: [{_SPACE}]++ [a-zA-Z][a-zA-Z0-9:-]*+ = (?: "[^"]*+" | '[^']*+' ) )*+ [{_SPACE}]*+ /?+ >
"""


class Attribute(NamedTuple):
    """The ranges of the name and the value of an attribute."""

    name: Range
    value: Range


class Token(NamedTuple):
    """Markup (`replacement` is None) or a character reference.

    `name` is the range of a tag's name, and empty for other kinds; `head` is the end of a start tag, before the content
    of script or style, which the token contains; `is_known` states whether the name is that of an element.
    """

    start: int
    end: int
    kind: Kind
    replacement: str | None = None
    name: Range = (0, 0)
    head: int = 0
    is_block: bool = False
    is_known: bool = True


def find_tokens(text: str) -> Iterator[Token]:
    """Find markup and character references of `text`; everything else is text."""
    return _Tokenizer(text).tokens()


def find_references(text: str, start: int, end: int, *, in_attribute: bool = False) -> Iterator[Token]:
    """Find character references in `text[start:end]`."""
    position = start
    while match := _compiled(_REFERENCE).search(text, position, end):
        token = _reference(match)
        position = match.end() if token is None else token.end
        if token is None or (in_attribute and _is_query(text, token, end)):
            continue
        yield token


def find_attributes(text: str, token: Token) -> Iterator[Attribute]:
    """Find the attributes of a tag."""
    position, end = token.name[1], token.head
    while (match := _compiled(_LOOSE).match(text, position, end)) and match["name"]:
        position = match.end()
        group = match.lastgroup if match.lastgroup in ("double", "single", "bare", "open") else None
        yield Attribute(match.span("name"), match.span(group) if group else (position, position))


class _Tokenizer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._last_close = text.rfind(">")
        self._quotes_close = True  # false after a tag with an unclosed quote; trying each tag would be quadratic
        self._open: list[str] = []  # svg, math and the elements in them that contain HTML
        self._counts: Counter[str] = Counter()

    def tokens(self) -> Iterator[Token]:
        position = 0
        while match := _compiled(_MARKUP).search(self._text, position):
            if match["tag"] is not None:
                token, position = self._tag(match)
                if token is not None:
                    yield token
                    if not match["close"] and not self._is_foreign() and position < len(self._text):
                        name = match["tag"].lower()
                        end = self._end_of_text(name, position)
                        if name in _RCDATA:
                            yield from find_references(self._text, position, end)
                        position = end
                    self._note(token, match)
            elif match["cdata"] and self._is_foreign():
                end = self._text.find("]]>", match.end())
                yield Token(match.start(), match.end(), "cdata")
                if end < 0:
                    return
                yield Token(end, position := end + 3, "cdata")
            elif match["decimal"] or match["hex"] or match["name"]:
                reference = _reference(match)
                position = match.end() if reference is None else reference.end
                if reference is not None:
                    yield reference
            else:
                position = self._end_of_comment(match)
                kind: Kind = "doctype" if self._text[match.end() : match.end() + 7].lower() == "doctype" else "comment"
                yield Token(match.start(), position, kind)

    def _is_foreign(self) -> bool:
        return bool(self._open) and self._open[-1] in names.INTEGRATION

    def _tag(self, match: "re.Match[str]") -> tuple[Token | None, int]:
        """Return the tag, if it is one, and the position at which to continue."""
        start, position = match.span()
        name = match["tag"].lower()
        is_known = name in names.HTML or (bool(self._open) and (name in names.SVG or name in names.MATHML))
        if (not is_known and not _compiled(_CUSTOM).fullmatch(match["tag"])) or match["tag"] == "Mark":
            link = _compiled(_AUTOLINK).match(self._text, start)
            return None, link.end() if link else position
        if position > self._last_close:
            return None, position
        is_tag, end = self._end_of_tag(position)
        if not is_tag:
            return None, end
        token = Token(start, end, "tag", None, match.span("tag"), end, name in names.BLOCKS, is_known)
        is_closed = self._is_foreign() and self._text[end - 2] == "/"
        if name in _REMOVED and not match["close"] and not is_closed:
            token = token._replace(end=self._end_of_removed(name, end))
        return token, token.end

    def _end_of_tag(self, position: int) -> tuple[bool, int]:
        """Return whether the attributes of a tag follow, and the end of the tag or the position of the next text."""
        text, start = self._text, position
        plain = _compiled(_PLAIN_ATTRIBUTES).match(text, position) if self._quotes_close else None
        if plain is not None:
            return True, plain.end()
        pattern, limit = _ATTRIBUTE, len(text)
        if not self._quotes_close:
            pattern, limit = _LOOSE, text.find(">", position) + 1
        while match := _compiled(pattern).match(text, position, limit):
            position = match.end()
            if match["end"]:
                return True, position
            is_open = text.startswith("=", position)  # a value whose quote is not closed
            if match.lastgroup == "name" and not is_open and self._is_text(match["name"]):
                return False, match.start("name")
            if is_open and pattern == _ATTRIBUTE:
                self._quotes_close = False
                return self._end_of_tag(start)
        return False, position

    def _is_text(self, name: str) -> bool:
        """Return whether an attribute without a value is text in angle brackets: `<b and c>`."""
        is_usual = name.lower() in names.ATTRIBUTES and len(name) > 2  # `d` and `x` of svg always have a value
        return not is_usual and "-" not in name and any(map(str.isalnum, name))

    def _end_of_text(self, name: str, start: int) -> int:
        """Return the end of the content of an element whose content is text, which is before its end tag."""
        if name == "plaintext":
            return len(self._text)
        if name not in _RCDATA and name not in _RAWTEXT:
            return start
        end = _end_tag(name).search(self._text, start)
        return int(end.start()) if end else len(self._text)

    def _end_of_removed(self, name: str, start: int) -> int:
        if name == "script" and not self._is_foreign():
            return _end_of_script(self._text, start)
        end = _end_tag(name).search(self._text, start)
        return int(end.start()) if end else len(self._text)

    def _end_of_comment(self, match: "re.Match[str]") -> int:
        position = int(match.end())
        if match["comment"] is None:
            if self._text.startswith("<!--", match.start()):
                return position
            return self._text.find(">", match.start() + 2) + 1 or len(self._text)
        end = re.compile("--!?>").search(self._text, position)
        return int(end.end()) if end else len(self._text)

    def _note(self, token: Token, match: "re.Match[str]") -> None:
        """Track the nesting of svg, math, and the HTML in them."""
        name = match["tag"].lower()
        if match["close"]:
            while self._counts[name]:
                self._counts[closed := self._open.pop()] -= 1
                if closed == name:
                    break
        elif self._is_foreign() and name in names.BREAKOUT:
            while self._is_foreign():
                self._counts[self._open.pop()] -= 1
        elif self._text[token.head - 2] != "/" and (
            name in names.INTEGRATION or (self._is_foreign() and name in names.INTEGRATION[self._open[-1]])
        ):
            if name == "annotation-xml" and not _holds_html(self._text[match.start() : token.head]):
                return
            self._open.append(name)
            self._counts[name] += 1


def _holds_html(tag: str) -> bool:
    """Return whether an `annotation-xml` start tag declares HTML content; without that, its content is MathML.

    Source: https://html.spec.whatwg.org/multipage/parsing.html#html-integration-point
    """
    return _compiled(r"encoding\s*+=\s*+[\"']?(?:text/html|application/xhtml\+xml)\b").search(tag.lower()) is not None


def _end_of_script(text: str, start: int) -> int:
    """Return the end of a script; an end tag after `<!--` and `<script>` belongs to the script.

    Source: https://html.spec.whatwg.org/multipage/parsing.html#script-data-escaped-state
    """
    is_escaped = is_inner = False
    position = start
    while match := _compiled(r"<!-- | --> | <(?P<close>/?)script(?=[\t\n\f\r\x20/>])").search(text, position):
        position = match.end()
        if match[0] == "<!--":
            is_escaped, position = True, position - 2  # `<!-->` ends immediately
        elif match[0] == "-->":
            is_escaped = is_inner = False
        elif match["close"] and not is_inner:
            return int(match.start())
        else:
            is_inner = is_escaped and not match["close"]
    return len(text)


def _is_query(text: str, token: Token, end: int) -> bool:
    """Return whether a reference without semicolon is part of a link: `?a=1&copy=2`."""
    following = text[token.end : min(end, token.end + 1)]
    return text[token.end - 1] != ";" and (following == "=" or (following.isascii() and following.isalnum()))


def _reference(match: "re.Match[str]") -> Token | None:
    start = match.start()
    if not match["name"]:
        return Token(start, match.end(), "reference", _numeric(match))
    name = _longest_name(match["name"])
    return Token(start, start + 1 + len(name), "reference", html5[name]) if name else None


def _numeric(match: "re.Match[str]") -> str:
    """Return the character of a numeric reference without computing the number, which may have any length."""
    digits = (match["decimal"] or match["hex"]).lstrip("0") or "0"
    if len(digits) > 7:
        return "\ufffd"
    return unescape(f"&#{'x' if match['hex'] else ''}{digits};")


@lru_cache(maxsize=1024)
def _longest_name(name: str) -> str:
    """Return the longest known reference that is a prefix of `name`, or an empty string."""
    return next((name[:length] for length in range(len(name), 1, -1) if name[:length] in html5), "")


@lru_cache(maxsize=16)
def _end_tag(name: str) -> "re.Pattern[str]":
    return re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> "re.Pattern[str]":
    """Compile with `re`, because `regex` searches a required `>` to the end of the text at every match (quadratic)."""
    flags = re.IGNORECASE | re.ASCII if "script" in pattern else 0  # in Unicode, `ſcript` equals `script`
    return re.compile(pattern, re.VERBOSE | flags)
