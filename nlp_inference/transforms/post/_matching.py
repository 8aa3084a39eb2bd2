"""Full matches of untrusted patterns, with one time budget for all spans of a document."""

from collections.abc import Callable
from time import thread_time
from typing import Annotated

from pydantic import AfterValidator, Field

from nlp_inference.transforms._patterns import compile_pattern, search_within, timeout_error


def _compiles(pattern: str) -> str:
    compile_pattern(pattern)
    return pattern


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compiles)]
"""A pattern of the `regex` module, which is validated."""

Seconds = Annotated[float, Field(gt=0, le=60)]
"""A time limit in seconds."""


def full_matcher(pattern: str, *, timeout: float) -> Callable[[str], bool]:
    """Return a function that returns whether `pattern` matches an entire string.

    All calls of the function together may take `timeout` seconds of CPU time; after that it raises
    PatternTimeoutError.

    Example:
        >>> is_number = full_matcher(r"[0-9]+", timeout=1.0)
        >>> is_number("42"), is_number("42a")
        (True, False)
    """
    compiled = compile_pattern(pattern)
    deadline = thread_time() + timeout

    def matches(surface: str) -> bool:
        left = max(deadline - thread_time(), 1e-6)
        try:
            return search_within(compiled.fullmatch, surface, timeout=left) is not None
        except TimeoutError as error:
            raise timeout_error(pattern, surface, timeout) from error

    return matches
