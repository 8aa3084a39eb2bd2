"""Untrusted regular expressions: compilation with clear errors, and execution with a time limit."""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from os import cpu_count
from time import thread_time
from typing import NamedTuple, TypeVar

import regex

from nlp_inference._utils.shorten import shorten
from nlp_inference.errors import PatternTimeoutError

MAX_PATTERN_CHARACTERS = 10_000
MAX_COMPILED_SIZE = 1_000_000
STEPS_A_SECOND = 20_000_000
"""Conservative speed of the engine on a slow machine; a common machine is ten times faster."""

Found = TypeVar("Found")

_CLASS = r"\[\^?(?:[^\\\[\]^&~|-]|\\[dDsSwWnrt]|\\[\\\]\[.^-]|[a-zA-Z0-9]-[a-zA-Z0-9])+\]"
_ATOM = rf"(?:[^\\.^$*+?{{}}\[\]|()]|\.|\\[dDsSwWnrt]|\\[\\.^$*+?{{}}\[\]|()/&;:'\"-]|{_CLASS})"
TOKEN = regex.compile(
    rf"(?P<atom>{_ATOM})(?P<quantifier>[?*+]|\{{[0-9]{{1,2}}\}})?|(?P<open>\((?:\?:|\?P<\w++>)?)|(?P<close>\)(?![?*+{{]))"
)
"""The tokens of a simple pattern, except the bars between its alternatives."""
_REPEATS = regex.compile(r"\{([0-9]+)")
_MAX_ATOMS = 64
_MAX_OPTIONAL = 4
_SHOWN_CHARACTERS = 80


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str, *, ignore_case: bool = False) -> "regex.Pattern[str]":
    """Compile `pattern`.

    Raises:
        ValueError: the pattern is too long or is not a regular expression.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValueError(f"a pattern of {len(pattern)} characters; at most {MAX_PATTERN_CHARACTERS} are allowed")
    if _compiled_size(pattern) > MAX_COMPILED_SIZE:
        raise ValueError(f"{quoted(pattern)} repeats too much to be compiled; lower the counts in {{…}}")
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except (regex.error, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"{quoted(pattern)} is not a regular expression: {error}") from error


def _compiled_size(pattern: str) -> int:
    """Return an upper bound of the compiled size: `regex` expands repetitions, which can nest as deep as groups."""
    counts = sorted((int(count) for count in _REPEATS.findall(pattern)), reverse=True)
    return len(pattern) * prod(max(1, count) for count in counts[: pattern.count("(") + 1])


def quoted(pattern: str) -> str:
    """Quote a pattern for a message, shortened if it is long."""
    return shorten(repr(pattern), width=_SHOWN_CHARACTERS)


class StepBound(NamedTuple):
    """The bound `factor * n ** degree` of the steps of a search in a text of n characters."""

    factor: int
    degree: int


@lru_cache(maxsize=1024)
def step_bound(pattern: str) -> StepBound | None:
    """Return a bound of the steps of `pattern` if it is simple, or `None`.

    A simple pattern has alternatives of literals, escapes and character classes, each optionally with `?`, `*`, `+` or
    `{n}`; groups that are neither repeated nor contain alternatives; no anchors and no look-around; and no alternative
    that can match the empty string. Every unbounded item except the last of its alternative may be tried at every
    length and increases the degree by one. Nothing can fail after the last item, so the text that it scans is consumed.

    Example:
        >>> [step_bound(pattern) for pattern in (r"https?://\\S+", "<[^>]+>", "(a+)+b")]
        [StepBound(factor=18, degree=1), StepBound(factor=3, degree=2), None]
    """
    position = atoms = optional = depth = 0
    degree = 1
    unbounded = width = 0  # of the current alternative
    while position < len(pattern):
        if pattern[position] == "|" and not depth and width:
            position, unbounded, width = position + 1, 0, 0
            continue
        token = TOKEN.match(pattern, position)
        if token is None:
            return None
        position = token.end()
        if token["atom"] is None:
            depth += 1 if token["open"] else -1
            continue
        degree = max(degree, 1 + unbounded)
        quantifier = token["quantifier"] or ""
        count = int(quantifier[1:-1]) if quantifier.startswith("{") else 1
        unbounded += quantifier in ("*", "+")
        optional += quantifier == "?"
        atoms += count
        width += 0 if quantifier in ("?", "*") else count
    if not width or atoms > _MAX_ATOMS or optional > _MAX_OPTIONAL:
        return None
    return StepBound(atoms * 2**optional, degree)


@lru_cache(maxsize=1024)
def clock_free_characters(pattern: str, timeout: float) -> int:
    """Return the length up to which `pattern` provably ends within `timeout` seconds; 0 if there is no bound.

    Up to this length it runs without a limit, because the engine reads the clock at almost every step, which makes a
    common pattern four times slower.
    """
    bound = step_bound(pattern)
    return int((timeout * STEPS_A_SECOND / bound.factor) ** (1 / bound.degree)) if bound else 0


def run_limited(search: Callable[..., Found], pattern: str, text: str, *, timeout: float) -> Found:
    """Call `search(text, timeout=...)`, a method of a compiled form of `pattern`.

    Raises:
        PatternTimeoutError: the search took more than `timeout` seconds; see `search_within`.
    """
    if len(text) <= clock_free_characters(pattern, timeout):
        return search(text)
    try:
        return search_within(search, text, timeout=timeout)
    except TimeoutError as error:
        raise timeout_error(pattern, text, timeout) from error


def search_within(search: Callable[..., Found], text: str, *, timeout: float) -> Found:
    """Call `search(text, timeout=...)` so that other threads do not use up its time.

    The engine uses `clock()` of C, which measures the CPU time of all threads of the process, such as those that run a
    model, or, on Windows, wall-clock time. Source: https://en.cppreference.com/w/c/chrono/clock;
    https://github.com/mrabarnett/mrab-regex/issues/321. If this thread used less than half of the time, the search runs
    once more with the time of the other threads added; in total it ends within a few times `timeout` per CPU.

    Raises:
        TimeoutError: the search took more than `timeout` seconds.
    """
    start = thread_time()
    try:
        return search(text, timeout=timeout)
    except TimeoutError:
        spent = thread_time() - start
        if spent > timeout / 2:
            raise
    return search(text, timeout=timeout * min(timeout / max(spent, 1e-6), 1 + (cpu_count() or 1)))


def timeout_error(pattern: str, text: str, timeout: float) -> PatternTimeoutError:
    """Return an error that names the pattern, the length of the text, and the fix."""
    return PatternTimeoutError(
        f"pattern {quoted(pattern)} ran longer than {timeout:g} s on a text of {len(text)} characters; make it "
        "unable to backtrack (possessive quantifiers such as 'a++', no nested repeats), or increase its 'timeout'"
    )
