"""Limits that keep one document, line or transform from taking the memory of the whole process.

What exceeds a limit is a `TooLargeError`, and so a failed record between its neighbors. Each limit is checked before
the memory is taken, on lengths that are known without looking at characters.
"""

MAX_CHARACTERS = 5_000_000
"""Of a document, text pair included, unless a Predictor has another limit; encoding that many takes about 1 GB."""

MAX_LINE_BYTES = 32 << 20
"""Of a line of a source, or of a row of CSV or parquet, unless `open_source` is given another limit."""

MAX_OBJECTS = 1_000_000
"""JSON objects and arrays of one line: each takes some 20 times the memory of its bytes."""

MAX_DICTIONARY_BYTES = 256 << 20
"""Memory of the decoder of an .xz file, which the file itself asks for; `xz -9` needs 65 MiB."""

_GROWTH = 4
_GROWTH_OF_ANY = 1_000_000


def growth_limit(length: int) -> int:
    """How long transforms may make a text: four times as long as the raw text, or a million characters.

    The same number limits the edits of all transforms of a document.

    Args:
        length: of the raw text, in characters.

    Example:
        >>> growth_limit(10), growth_limit(1_000_000)
        (1000000, 4000000)
    """
    return max(_GROWTH_OF_ANY, _GROWTH * length)
