"""How many cases property tests try: a part of them in CI, all in the weekly job."""

import os

THOROUGH = os.environ.get("THOROUGH_TESTS") == "1"


def examples(count: int) -> int:
    """The `max_examples` of a test that tries `count` cases if `THOROUGH_TESTS=1`, and otherwise a quarter."""
    return count if THOROUGH else max(25, count // 4)
