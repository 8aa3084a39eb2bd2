"""How many cases property tests try: a part of them in CI, all in the weekly job."""

import os
from collections.abc import Sequence
from itertools import cycle, product
from typing import Any

THOROUGH = os.environ.get("THOROUGH_TESTS") == "1"


def examples(count: int) -> int:
    """The `max_examples` of a test that tries `count` cases if `THOROUGH_TESTS=1`, and otherwise a quarter."""
    return count if THOROUGH else max(25, count // 4)


def combinations(first: Sequence[Any], second: Sequence[Any]) -> list[tuple[Any, Any]]:
    """All pairs if `THOROUGH_TESTS=1`; otherwise each of the longer `first` with one of `second`, each of them in turn.

    Example:
        >>> combinations("abc", "xy") if not THOROUGH else [("a", "x"), ("b", "y"), ("c", "x")]
        [('a', 'x'), ('b', 'y'), ('c', 'x')]
    """
    if THOROUGH:
        return list(product(first, second))
    assert len(first) >= len(second)
    return list(zip(first, cycle(second), strict=False))
