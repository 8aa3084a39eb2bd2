"""Replacement of the matches of a regular expression."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Annotated, Self

import regex
from pydantic import Field, model_validator

from nlp_inference.document.aligned_text import Cuts, Edit, Range, make_edit
from nlp_inference.document.deletions import find_replaced, has_content, merge_ranges
from nlp_inference.document.limits import growth_limit
from nlp_inference.errors import PatternTimeoutError, TooLargeError
from nlp_inference.transforms._patterns import clock_free_characters, compile_pattern, quoted, run_limited
from nlp_inference.transforms._splitting import Split, make_splitters
from nlp_inference.transforms.base import Transform

_REFERENCE = regex.compile(r"\\(?:g<(?P<name>[^>]*+)>|(?P<number>[1-9][0-9]?)|(?P<escape>.))", regex.DOTALL)
_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a"}

Template = tuple[str | int, ...]
"""A parsed replacement: literal texts and group numbers."""


class ReplaceRegex(Transform):
    r"""Replace every match of a regular expression.

    Letters and digits of a match that are neither in a group of the replacement nor in its literal text are reported as
    deleted (`Coverage.deleted`), so that `redact` masks them. A pattern of a single letter outside of ASCII that is
    replaced by a letter (`ø` by `o`) is a spelling and deletes nothing.

    Args:
        pattern: a pattern of the `regex` module, which supports the syntax of `re`.
        replacement: the new text, with group references `\1`, `\g<1>` and `\g<name>` as in `re.sub`; a group that did
            not participate in the match is empty.
        ignore_case: whether to ignore the case of letters.
        timeout: seconds of CPU time that the pattern may take on one text, because a pattern of a model may be hostile.
            A pattern that provably ends in time runs without a clock, which is faster. The clock of `regex` measures
            the entire process (on Windows, wall-clock time): if other threads used most of the time, the pattern runs
            once more with that time added.

    Raises:
        PatternTimeoutError: when applied, if the pattern takes longer than `timeout` on a text.

    Example:
        >>> from nlp_inference.document import Document
        >>> swap = ReplaceRegex(pattern=r"(\w+) (\w+)", replacement=r"\2 \1")
        >>> swap(Document(raw_text="hello world")).text
        'world hello'
    """

    name = "replace_regex"

    pattern: Annotated[str, Field(min_length=1)]
    replacement: str = ""
    ignore_case: bool = False
    timeout: Annotated[float, Field(gt=0, le=60)] = 2.0

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        _replacer(self.pattern, self.replacement, self.timeout, ignore_case=self.ignore_case)
        return self

    def propose(self, text: str) -> Iterable[Edit]:
        """Return one edit for every match whose replacement differs from it."""
        return _replacer(self.pattern, self.replacement, self.timeout, ignore_case=self.ignore_case)(text)

    def find_deleted(self, text: str, edits: Sequence[Edit]) -> Iterable[Range]:
        """Return the parts of the matches that are neither in a group of the replacement nor in its literal text."""
        compiled = compile_pattern(self.pattern, ignore_case=self.ignore_case)
        template = _parse(self.replacement, compiled)
        is_letter = len(self.pattern) == 1 and self.pattern.isalpha() and not self.pattern.isascii()
        if is_letter and has_content("".join(map(str, template))):
            return ()
        groups = [piece for piece in template if isinstance(piece, int)]
        if groups:
            try:
                pieces = run_limited(partial(_dropped, compiled, groups), self.pattern, text, timeout=self.timeout)
            except PatternTimeoutError:
                return find_replaced(text, edits)
            literal = "".join(piece for piece in template if isinstance(piece, str))
            edits = [Edit(start, end, literal) for start, end in pieces]
        return find_replaced(text, edits)


@lru_cache(maxsize=1024)
def _replacer(pattern: str, replacement: str, timeout: float, *, ignore_case: bool) -> Callable[[str], Iterable[Edit]]:
    """Return the function that finds the edits of one set of settings in a text.

    Raises:
        ValueError: the pattern or the replacement is not valid.
    """
    compiled = compile_pattern(pattern, ignore_case=ignore_case)
    template = _parse(replacement, compiled)
    limited = unlimited = partial(_find_by_match, compiled, template)
    if all(isinstance(piece, str) for piece in template):
        constant = "".join(map(str, template))
        splitters = make_splitters(pattern, replacement=constant, ignore_case=ignore_case)
        if splitters is not None:
            limited, unlimited = (partial(_find_by_split, split, constant) for split in splitters)
    clock_free = clock_free_characters(pattern, timeout)

    def replace(text: str) -> Iterable[Edit]:
        if len(text) <= clock_free:
            return unlimited(text)
        return run_limited(limited, pattern, text, timeout=timeout)

    return replace


def _find_by_match(compiled: "regex.Pattern[str]", template: Template, text: str, **limit: float) -> Iterable[Edit]:
    literal = sum(len(piece) for piece in template if isinstance(piece, str))
    groups = [piece for piece in template if isinstance(piece, int)]
    most, size = growth_limit(len(text)), 0
    edits = []
    for match in compiled.finditer(text, **limit):
        size += literal + sum([match.end(group) - match.start(group) for group in groups])
        if size > most:
            raise TooLargeError(
                f"the replacements in a text of {len(text)} characters have {size} characters or more; at most {most} "
                "are allowed. Correct the transforms of the model, or split the document"
            )
        edits.append(make_edit((*match.span(), _expand(template, match))))
    return edits


def _dropped(compiled: "regex.Pattern[str]", groups: Sequence[int], text: str, **limit: float) -> list[Range]:
    """Return the parts of each match that are in none of the groups."""
    return [part for match in compiled.finditer(text, **limit) for part in _outside(match, groups)]


def _outside(match: "regex.Match[str]", groups: Sequence[int]) -> Iterator[Range]:
    position = match.start()
    for start, end in merge_ranges(match.span(group) for group in groups):
        if position < start:
            yield position, start
        position = max(position, end)
    if position < match.end():
        yield position, match.end()


def _find_by_split(split: Split, constant: str, text: str, **limit: float) -> Iterable[Edit]:
    pieces = split(text, **limit)
    return Cuts(pieces, replacement=constant) if len(pieces) > 1 else ()


def _expand(template: Template, match: "regex.Match[str]") -> str:
    return "".join([piece if isinstance(piece, str) else match[piece] or "" for piece in template])


def _parse(replacement: str, compiled: "regex.Pattern[str]") -> Template:
    pieces: list[str | int] = []
    position = 0
    for reference in _REFERENCE.finditer(replacement):
        pieces.append(replacement[position : reference.start()])
        position = reference.end()
        escape = reference["escape"]
        pieces.append(_group(reference, compiled) if escape is None else _unescape(escape, replacement))
    rest = replacement[position:]
    if "\\" in rest:
        raise ValueError(f"replacement {replacement!r} ends with a lone backslash; write two for one")
    return tuple(piece for piece in (*pieces, rest) if piece != "")


def _group(reference: "regex.Match[str]", compiled: "regex.Pattern[str]") -> int:
    name = reference["name"] if reference["number"] is None else reference["number"]
    is_number = name.isascii() and name.isdigit() and len(name) <= 4
    number = int(name) if is_number else compiled.groupindex.get(name, -1)
    if not 0 <= number <= compiled.groups:
        named = f", named {', '.join(map(repr, compiled.groupindex))}" if compiled.groupindex else ""
        raise ValueError(
            f"the replacement refers to group {name!r}, but pattern {quoted(compiled.pattern)} has "
            f"{compiled.groups} groups{named}"
        )
    return number


def _unescape(escape: str, replacement: str) -> str:
    if escape in _ESCAPES:
        return _ESCAPES[escape]
    if escape.isascii() and escape.isalnum():
        raise ValueError(
            rf"replacement {replacement!r} holds the unknown escape '\{escape}'; known are \1 to \99, \g<name> and "
            + " ".join(f"\\{known}" for known in _ESCAPES)
        )
    return f"\\{escape}"
