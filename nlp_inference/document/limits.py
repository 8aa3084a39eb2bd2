"""Limits that prevent one document, line or transform from using the memory of the entire process.

Input that exceeds a limit raises `TooLargeError`, so that only its own record fails. Each limit is checked on lengths,
before the memory is allocated.
"""

MAX_CHARACTERS = 5_000_000
"""Default limit of a document including its text pair; encoding that many characters takes about 1 GB."""

MAX_LINE_BYTES = 32 << 20
"""Default limit of a line of a source, or of a row of CSV or parquet; see `open_source`."""

MAX_OBJECTS = 1_000_000
"""Limit of JSON objects and arrays in one line; each takes about 20 times the memory of its bytes."""

MAX_DICTIONARY_BYTES = 256 << 20
"""Limit of the decoder memory that an .xz file requests; `xz -9` needs 65 MiB."""

_GROWTH = 4
_GROWTH_OF_ANY = 1_000_000


def growth_limit(length: int) -> int:
    """Return the greatest length of a transformed text: 4 times that of the raw text, but at least 1,000,000.

    The same number limits the edits of all transforms of a document.

    Args:
        length: the length of the raw text in characters.

    Example:
        >>> growth_limit(10), growth_limit(1_000_000)
        (1000000, 4000000)
    """
    return max(_GROWTH_OF_ANY, _GROWTH * length)
