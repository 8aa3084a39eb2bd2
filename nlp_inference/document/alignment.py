"""The map between the offsets of a raw text and of the current text; ends are exclusive."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import add, sub

Moves = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Edits as columns (starts, ends, sizes of replacements), without replacements of one character by one."""


class Alignment:
    """The map between a raw text and the current text, as the sorted ranges in which they differ.

    In range `i`, `raw[raw_starts[i]:raw_ends[i]]` became `current[starts[i]:ends[i]]`; the text between two ranges is
    equal in both. A replacement of one character by one shifts nothing and needs no range. Mapping a span takes two
    binary searches.
    """

    __slots__ = ("ends", "raw_ends", "raw_starts", "starts")

    def __init__(
        self,
        raw_starts: Sequence[int] = (),
        raw_ends: Sequence[int] = (),
        starts: Sequence[int] = (),
        ends: Sequence[int] = (),
    ) -> None:
        self.raw_starts = raw_starts
        self.raw_ends = raw_ends
        self.starts = starts
        self.ends = ends

    def to_raw(self, start: int, end: int) -> tuple[int, int]:
        """Map a span of the current text to the raw text; inside a range it widens to the entire range."""
        return _map_span(self.starts, self.ends, self.raw_starts, self.raw_ends, start, end)

    def to_current(self, start: int, end: int) -> tuple[int, int]:
        """Map a span of the raw text to the current text; deleted text maps to an empty span at its position."""
        return _map_span(self.raw_starts, self.raw_ends, self.starts, self.ends, start, end)

    def then(self, moves: Moves) -> "Alignment":
        """Compose with edits on the current text; overlapping ranges and edits become one range."""
        edit_starts, edit_ends, sizes = moves
        if not edit_starts:
            return self
        growths = map(sub, sizes, map(sub, edit_ends, edit_starts))
        if not self.starts:
            starts = list(map(add, edit_starts, accumulate(growths, initial=0)))
            return Alignment(edit_starts, edit_ends, starts, list(map(add, starts, sizes)))
        raw_growths = map(sub, map(sub, self.raw_ends, self.raw_starts), map(sub, self.ends, self.starts))
        changes = [*zip(self.starts, self.ends, raw_growths, repeat(0), strict=False)]
        changes += zip(edit_starts, edit_ends, repeat(0), growths, strict=False)
        changes.sort()
        return _merge(changes)


def _merge(changes: Sequence[tuple[int, int, int, int]]) -> Alignment:
    """Merge ordered ranges and edits, both in the coordinates of the text between them, into one alignment.

    A change has a start, an end, its additional length in the raw text, and its additional length in the new text.
    Changes share a range if they overlap, or if an insertion or a deletion is at the position of a deletion.
    """
    raw_starts: list[int] = []
    raw_ends: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    opened = reach = -1  # start and end of the current range; the first one is a dummy
    raw_shift = shift = 0
    for start, end, raw_growth, growth in changes:
        if start < reach or end == opened:
            reach = max(reach, end)
        else:
            raw_ends.append(reach + raw_shift)
            ends.append(reach + shift)
            raw_starts.append(start + raw_shift)
            starts.append(start + shift)
            opened = start
            reach = end
        raw_shift += raw_growth
        shift += growth
    raw_ends.append(reach + raw_shift)
    ends.append(reach + shift)
    return Alignment(raw_starts, raw_ends[1:], starts, ends[1:])


def _map_span(
    starts: Sequence[int],
    ends: Sequence[int],
    other_starts: Sequence[int],
    other_ends: Sequence[int],
    start: int,
    end: int,
) -> tuple[int, int]:
    index = bisect_right(ends, start)  # the first range that ends after `start`
    if index < len(starts) and starts[index] <= start and (start < end or starts[index] < start):
        other_start = other_starts[index]
    else:
        other_start = start + (other_ends[index - 1] - ends[index - 1] if index else 0)
    index = bisect_left(starts, end) - 1  # the last range that starts before `end`
    if index >= 0 and ends[index] >= end and (start < end or ends[index] > end):
        other_end = other_ends[index]
    else:
        other_end = end + (other_ends[index] - ends[index] if index >= 0 else 0)
    return other_start, max(other_start, other_end)
