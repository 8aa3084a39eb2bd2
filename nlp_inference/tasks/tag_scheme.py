"""Tag schemes: spans over units (words or tokens) as one tag per unit, and back."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nlp_inference._utils.cached import cached

SchemeName = Literal["IO", "IOB1", "BIO", "BILOU", "BIOES"]

# The letters for the first, inner and last unit of a span, and for a span of one unit.
_LETTERS: dict[str, tuple[str, str, str, str]] = {
    "IO": ("I", "I", "I", "I"),
    "IOB1": ("B", "I", "I", "B"),
    "BIO": ("B", "I", "I", "B"),
    "BILOU": ("B", "I", "L", "U"),
    "BIOES": ("B", "I", "E", "S"),
}

OUTSIDE = 0
"""The id of `O`, the tag outside of spans, in every scheme."""

UnitSpan = tuple[int, int, str]
"""First unit, unit after the last one, label."""


class TagScheme:
    """The tags of labels under a scheme, and the valid transitions between them.

    BIO is the IOB2 of Sang and Veenstra (1999), https://aclanthology.org/E99-1023/; BILOU, and BIOES with other
    letters, is from Ratinov and Roth (2009), https://aclanthology.org/W09-1119/. IOB1, the scheme of Ramshaw and Marcus
    (1995), https://aclanthology.org/W95-0107/, has the tags of BIO, but starts a span with I, and with B only directly
    after another span of its label. IO cannot separate adjacent spans with the same label.

    Example:
        >>> scheme = TagScheme("BIO", ["CITY"])
        >>> scheme.tags
        ('O', 'B-CITY', 'I-CITY')
        >>> ids = scheme.encode(4, [(1, 3, "CITY")])
        >>> ids.tolist(), scheme.decode(ids)
        ([0, 1, 2, 0], [(1, 3, 'CITY')])
    """

    def __init__(self, name: SchemeName, labels: Sequence[str]) -> None:
        self.name = name
        letters = dict.fromkeys(_LETTERS[name])
        self.tags: tuple[str, ...] = ("O", *(f"{letter}-{label}" for label in labels for letter in letters))
        self._ids = {tag: index for index, tag in enumerate(self.tags)}
        self._parts = [("O", "")] + [(tag[0], tag[2:]) for tag in self.tags[1:]]

    @cached
    def starts(self) -> NDArray[np.bool_]:
        """`[tags]`, whether a sequence may start with this tag."""
        return np.array([self._opens(tag) for tag in range(len(self.tags))])

    @cached
    def ends(self) -> NDArray[np.bool_]:
        """`[tags]`, whether a sequence may end with this tag."""
        return np.array([not self._continues(tag) for tag in range(len(self.tags))])

    @cached
    def follows(self) -> NDArray[np.bool_]:
        """`[tags, tags]`, whether the second tag may directly follow the first."""
        size = range(len(self.tags))
        return np.array([[self._may_follow(before, after) for after in size] for before in size])

    @cached
    def forbidden(self) -> NDArray[np.float32]:
        """`[tags, tags]`, 0 where the second tag may directly follow the first, minus infinity elsewhere."""
        return np.where(self.follows, np.float32(0), np.float32(-np.inf))

    def _opens(self, tag: int) -> bool:
        letter, _ = self._parts[tag]
        if self.name in {"IO", "IOB1"}:
            return letter in {"O", "I"}
        return letter in {"O", "B", "U", "S"}

    def _continues(self, tag: int) -> bool:
        """Return whether the span of this tag must continue."""
        return self.name in {"BILOU", "BIOES"} and self._parts[tag][0] in {"B", "I"}

    def _may_follow(self, before: int, after: int) -> bool:
        if self._continues(before):
            return not self._opens(after) and self._parts[before][1] == self._parts[after][1]
        if self._opens(after):
            return True
        return self.name in {"BIO", "IOB1"} and before != 0 and self._parts[before][1] == self._parts[after][1]

    def encode(self, units: int, spans: Sequence[UnitSpan]) -> NDArray[np.int64]:
        """Return the tag ids `[units]` of spans that do not overlap."""
        first, inner, last, single = _LETTERS[self.name]
        tags = np.zeros(units, dtype=np.int64)
        for start, end, label in spans:
            if end - start == 1:
                tags[start] = self._ids[f"{single}-{label}"]
            else:
                tags[start:end] = self._ids[f"{inner}-{label}"]
                tags[start] = self._ids[f"{first}-{label}"]
                tags[end - 1] = self._ids[f"{last}-{label}"]
        return self._without_needless_starts(tags) if self.name == "IOB1" else tags

    def _without_needless_starts(self, tags: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tags of IOB1 for those of BIO: a span begins with `I` unless one of its label ends before it."""
        before = np.append(OUTSIDE, tags[:-1])
        needless = self._begins[tags] & (self._labels[before] != self._labels[tags])
        without: NDArray[np.int64] = tags + needless  # `I` follows `B` of the same label
        return without

    def decode(self, tags: NDArray[np.int64], *, begins: Sequence[int] = (0,)) -> list[UnitSpan]:
        """Return the spans of valid, concatenated sequences of tag ids.

        Args:
            tags: `[units]`.
            begins: the start of each sequence.
        """
        inside = tags != OUTSIDE
        continues = inside & ~self._begins[tags]
        continues[1:] &= inside[:-1] & (self._labels[tags[1:]] == self._labels[tags[:-1]])
        continues[list(begins) if len(tags) else []] = False
        firsts = np.flatnonzero(inside & ~continues)
        lasts = np.flatnonzero(inside & ~np.append(continues[1:], False))
        return [
            (first, last + 1, self._parts[tag][1])
            for first, last, tag in zip(firsts.tolist(), lasts.tolist(), tags[firsts].tolist(), strict=True)
        ]

    @cached
    def _begins(self) -> NDArray[np.bool_]:
        """`[tags]`, whether this tag always starts a span."""
        return np.array([letter in {"B", "U", "S"} for letter, _ in self._parts])

    @cached
    def _labels(self) -> NDArray[np.int64]:
        """`[tags]`, a number for the label of each tag."""
        numbers = {label: number for number, (_, label) in enumerate(self._parts)}
        return np.array([numbers[label] for _, label in self._parts])

    def is_valid(self, tags: NDArray[np.int64]) -> bool:
        """Return whether the tags are a valid sequence."""
        return not self.misplaced(tags)

    def misplaced(self, tags: NDArray[np.int64], *, begins: Sequence[int] = (0,)) -> list[int]:
        """Return the units whose tag may not follow the previous one, or is not allowed at the start or the end.

        Args:
            tags: `[units]`, concatenated sequences.
            begins: the start of each sequence; no sequence is empty.
        """
        if not len(tags):
            return []
        wrong = np.zeros(len(tags), dtype=bool)
        np.logical_not(self.follows[tags[:-1], tags[1:]], out=wrong[1:])
        first = np.array(begins)
        wrong[first] = ~self.starts[tags[first]]
        last = np.append(first[1:], len(tags)) - 1
        wrong[last] |= ~self.ends[tags[last]]
        return np.flatnonzero(wrong).tolist()
