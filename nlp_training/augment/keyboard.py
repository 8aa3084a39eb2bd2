"""Typing errors."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import Literal

from nlp_training.augment.base import LocalChange, Share

_ROWS = {
    "qwerty": ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("1234567890", "qwertzuiop", "asdfghjkl", "yxcvbnm"),
    "azerty": ("1234567890", "azertyuiop", "qsdfghjklm", "wxcvbn"),
}
Slip = Literal["neighbour", "leave_out", "double"]


class KeyboardTypos(LocalChange):
    """Replace a character by a neighboring key, omit it, or double it.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of characters on the keyboard to change.
        in_spans: whether gold spans may contain typos; their first and last characters are never omitted.
        slips: the kinds of errors, with equal probability.
        layout: the keyboard layout. Neighbors are adjacent keys in a row, and keys above and below.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> typos = Augmenter([KeyboardTypos(probability=1, slips=("double",))], seed=3)
        >>> typos(Document(raw_text="A keyboard"), epoch=0).document.raw_text
        'A keyyboard'
    """

    name = "keyboard_typos"

    max_share: Share = 0.05
    slips: tuple[Slip, ...] = ("neighbour", "leave_out", "double")
    layout: Literal["qwerty", "qwertz", "azerty"] = "qwerty"

    def places(self, text: str) -> Iterable[tuple[int, int]]:
        """Return every character that is on the keyboard."""
        keys = _neighbours(self.layout)
        return [(index, index + 1) for index, character in enumerate(text) if character.lower() in keys]

    def change(self, text: str, start: int, end: int, rng: Random) -> str:
        """Return the typed characters."""
        character = text[start:end]
        slip = rng.choice(self.slips)
        if slip == "leave_out":
            return ""
        if slip == "double":
            return character * 2
        typed = rng.choice(_neighbours(self.layout)[character.lower()])
        return typed.upper() if character.isupper() else typed


@lru_cache(maxsize=3)
def _neighbours(layout: str) -> dict[str, str]:
    """Return the neighbors of each key; each row is half a key to the right of the one above it."""
    rows = _ROWS[layout]
    neighbors = {key: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in rows for at, key in enumerate(row)}
    for upper, lower in pairwise(rows):
        for at, key in enumerate(lower):
            for above in upper[at : at + 2]:
                neighbors[key] += above
                neighbors[above] += key
    return neighbors
