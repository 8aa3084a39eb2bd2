r"""Matching by splitting a text, which is several times faster than reading the span of every match object.

The `regex` module defines the meaning of a pattern. A simple pattern (see `step_bound`) is also converted to an
equivalent form for `re` of the standard library, which is about twice as fast: without capturing groups, and with
explicit white space, because `\s` of `re` includes U+001C to U+001F. Word characters and digits depend on the Unicode
version of an engine, so patterns with `\w` or `\d` always use `regex`.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import regex

from nlp_inference.transforms._patterns import TOKEN, compile_pattern, step_bound

Split = Callable[..., list[str]]

WHITE_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
r"""The characters of `\s` in `regex`: the property White_Space of the Unicode Character Database (PropList.txt)."""

_ESCAPE = regex.compile(r"\\.")


class Splitters(NamedTuple):
    """Two functions that split a text into alternating unmatched and matched pieces."""

    limited: Split
    """The function with a `timeout`."""
    unlimited: Split
    """The function for texts on which the pattern provably ends in time."""


def make_splitters(pattern: str, *, replacement: str, ignore_case: bool) -> Splitters | None:
    """Return the functions that split by `pattern`, or `None` if splitting cannot give its matches.

    Matches that are equal to the `replacement` may be skipped.

    Raises:
        ValueError: the pattern is not a regular expression.
    """
    compiled = compile_pattern(pattern, ignore_case=ignore_case)
    if step_bound(pattern) is None:
        if compiled.groups or "(?" in pattern or "(*" in pattern or r"\K" in pattern:
            return None
        split = compile_pattern(f"({pattern})", ignore_case=ignore_case).split
        return Splitters(split, split)
    one_group = _one_group(pattern, replacement=replacement, rewrite=_without_group)
    split = compile_pattern(one_group, ignore_case=ignore_case).split
    has_standard_form = all(_has_standard_form(token["atom"] or "") for token in TOKEN.finditer(pattern))
    if ignore_case or not has_standard_form:
        return Splitters(split, split)
    standard = _one_group(pattern, replacement=replacement, rewrite=_standard)
    return Splitters(split, re.compile(standard).split)


def _one_group(pattern: str, *, replacement: str, rewrite: Callable[["regex.Match[str]"], str]) -> str:
    """Return a simple pattern as the only group, so that splitting also gives the matches, with rewritten tokens.

    If a run of one class becomes one character, as white space becomes a space, runs that are already this character
    do not match. The search is faster for a pattern that starts with a class rather than with a repetition.
    """
    token = TOKEN.fullmatch(pattern)
    if token is None or token["quantifier"] != "+":
        return f"({TOKEN.sub(rewrite, pattern)})"
    written = TOKEN.sub(rewrite, token["atom"])
    if len(replacement) == 1:
        return f"({written}(?:{written}+|(?<!{re.escape(replacement)})))"
    return f"({written}{written}*)"


def _has_standard_form(atom: str) -> bool:
    escapes = set(_ESCAPE.findall(atom))
    return escapes.isdisjoint({r"\d", r"\D", r"\w", r"\W"}) and not (atom.startswith("[") and r"\S" in escapes)


def _without_group(token: "regex.Match[str]") -> str:
    return "(?:" if token["open"] else token[0]


def _standard(token: "regex.Match[str]") -> str:
    if token["atom"] is None:
        return _without_group(token)
    atom = token["atom"]
    if atom.startswith("["):
        atom = _ESCAPE.sub(_spelled_out, atom)
    elif atom in (r"\s", r"\S"):
        atom = f"[{WHITE_SPACE}]" if atom == r"\s" else f"[^{WHITE_SPACE}]"
    return f"{atom}{token['quantifier'] or ''}"


def _spelled_out(escape: "regex.Match[str]") -> str:
    return WHITE_SPACE if escape[0] == r"\s" else escape[0]
