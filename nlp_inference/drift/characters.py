"""Counts of character classes, for many texts at once."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import regex
from numpy.typing import NDArray

_SOUTH_ASIAN = (
    "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala"
)  # fmt: skip
_EAST_ASIAN = ("Han", "Hiragana", "Katakana", "Hangul", "Bopomofo")


def _letters_of(*scripts: str) -> str:
    return r"(?=\p{L})[" + "".join(rf"\p{{Script={script}}}" for script in scripts) + "]"


_PATTERNS = {
    "a-z": "[a-z]",
    "A-Z": "[A-Z]",
    "Latin beyond ASCII": _letters_of("Latin"),
    "Cyrillic": _letters_of("Cyrillic"),
    "Greek": _letters_of("Greek"),
    "Arabic": _letters_of("Arabic"),
    "Hebrew": _letters_of("Hebrew"),
    "South Asian": _letters_of(*_SOUTH_ASIAN),
    "East Asian": _letters_of(*_EAST_ASIAN),
    "other letters": r"\p{L}",
    "combining marks": r"\p{M}",
    "digits": r"\p{N}",
    "punctuation": r"\p{P}",
    "emoji": r"\p{Emoji_Presentation}",
    "symbols": r"\p{S}",
    "white space": r"\s",
    "control and format": r"[\p{Cc}\p{Cf}]",
    "unassigned and private": "(?s:.)",
}

CHARACTER_CLASSES = tuple(_PATTERNS)
"""Classes by Unicode general category (https://www.unicode.org/reports/tr44/), and of letters by script
(https://www.unicode.org/reports/tr24/); a character belongs to the first class that matches."""

_CODE_POINTS = 0x110000
_UNKNOWN = 255


def count_character_classes(texts: Sequence[str]) -> NDArray[np.intp]:
    """Count the characters of each class in each text.

    Returns:
        `[texts, classes]`, the classes in the order of `CHARACTER_CLASSES`.

    Example:
        >>> counts = count_character_classes(["Ana 7", "Łódź"])
        >>> [{CHARACTER_CLASSES[at]: int(row[at]) for at in row.nonzero()[0]} for row in counts]
        [{'a-z': 2, 'A-Z': 1, 'digits': 1, 'white space': 1}, {'a-z': 1, 'Latin beyond ASCII': 3}]
    """
    size = len(CHARACTER_CLASSES)
    code_points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    first_cells = np.repeat(np.arange(len(texts)) * size, [len(text) for text in texts])
    counts = np.bincount(first_cells + _classes(code_points), minlength=len(texts) * size)
    return counts.reshape(len(texts), size)


def _classes(code_points: NDArray[np.uint32]) -> NDArray[np.uint8]:
    table = _table()
    classes = table[code_points]
    if len(classes) and classes.max() == _UNKNOWN:
        for code_point in np.unique(code_points[classes == _UNKNOWN]).tolist():
            table[code_point] = _classify(chr(code_point))
        classes = table[code_points]
    return classes


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint8]:
    """Return the cache of classes by code point; concurrent writes are safe because the values are deterministic."""
    return np.full(_CODE_POINTS, _UNKNOWN, dtype=np.uint8)


def _classify(character: str) -> int:
    return next(
        index for index, pattern in enumerate(_PATTERNS.values()) if regex.match(pattern, character) is not None
    )
