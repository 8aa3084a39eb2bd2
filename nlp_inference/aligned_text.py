"""A text that remembers the text it came from: edits, their replay, and the map between both texts.

Everything here is pure: strings and integers in, strings and integers out. Offsets are code points, ends are
exclusive. An `Edit` replaces `before[start:end]`; a record holds the edits of one transform, in the coordinates of
the text before that transform.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import add, sub
from typing import NamedTuple

from nlp_inference.errors import InvalidEditError


class Edit(NamedTuple):
    """Replace the characters `start:end` by `replacement`."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class EditRecord:
    """What one transform did to a text: its name, its version and its edits, in order and without overlap."""

    transform: str
    version: int
    edits: tuple[Edit, ...]


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with every edit applied.

    Raises:
        InvalidEditError: the edits are out of order, overlap, or reach outside the text.

    Example:
        >>> apply_edits("a  b", [Edit(1, 3, " ")])
        'a b'
    """
    pieces: list[str] = []
    position = 0
    insertion = -1
    for start, end, replacement in edits:
        if start < position or end < start or (start == end == insertion):
            raise InvalidEditError(
                f"edit {(start, end, replacement)!r} starts before the previous edit ended at {position}, or is "
                "reversed, or repeats an insertion; propose edits in order and without overlap"
            )
        pieces.append(text[position:start])
        pieces.append(replacement)
        position = end
        insertion = end if start == end else -1
    if position > len(text):
        raise InvalidEditError(f"an edit ends at {position}, but the text has only {len(text)} characters")
    pieces.append(text[position:])
    return "".join(pieces)


class Alignment:
    """The map between a raw text and the current text, as the sorted stretches in which they differ.

    Stretch `i` says that `raw[raw_starts[i]:raw_ends[i]]` became `current[starts[i]:ends[i]]`; everything between two
    stretches is the same in both. A one-for-one character replacement moves nothing and needs no stretch.
    Mapping a span takes two binary searches.
    """

    __slots__ = ("ends", "raw_ends", "raw_starts", "starts")

    def __init__(self, raw_starts: Sequence[int] = (), raw_ends: Sequence[int] = (), sizes: Sequence[int] = ()) -> None:
        self.raw_starts = raw_starts
        self.raw_ends = raw_ends
        growth = map(sub, sizes, map(sub, raw_ends, raw_starts))
        shifts = list(accumulate(growth, initial=0))
        self.starts: Sequence[int] = list(map(add, raw_starts, shifts))
        self.ends: Sequence[int] = list(map(add, self.starts, sizes))

    def to_raw(self, start: int, end: int) -> tuple[int, int]:
        """Map a span of the current text to the raw text; inside a stretch it widens to the whole stretch."""
        return _map_span(self.starts, self.ends, self.raw_starts, self.raw_ends, start, end)

    def to_current(self, start: int, end: int) -> tuple[int, int]:
        """Map a span of the raw text to the current text; what was deleted becomes an empty span at its place."""
        return _map_span(self.raw_starts, self.raw_ends, self.starts, self.ends, start, end)

    def then(self, edits: Iterable[Edit]) -> "Alignment":
        """Compose with edits on the current text. Untouched stretches are found by bisection and copied whole."""
        if not self.starts:
            moving = [edit for edit in edits if not edit[1] - edit[0] == len(edit[2]) == 1]
            sizes = [len(edit[2]) for edit in moving]
            return Alignment([edit[0] for edit in moving], [edit[1] for edit in moving], sizes)
        composer = _Composer(self)
        composer.add(edits)
        return composer.finish()


class _Composer:
    """Merges edits, given in order, into the stretches of an alignment."""

    def __init__(self, before: Alignment) -> None:
        self._before = before
        self._next = 0  # first stretch of `before` that is not yet copied or merged
        self._raw_starts: list[int] = []
        self._raw_ends: list[int] = []
        self._sizes: list[int] = []
        self._end = -1  # where the last written stretch ends in the text between, if that is behind its last edit

    def add(self, edits: Iterable[Edit]) -> None:
        """Write the stretches of `edits`; the loop runs for every edit, so the common case stays in it."""
        starts, ends, raw_ends = self._before.starts, self._before.ends, self._before.raw_ends
        count = len(starts)
        for start, end, replacement in edits:
            size = len(replacement)
            if size == 1 == end - start:
                continue
            if start < self._end:
                self._grow(end, size - (end - start))
                continue
            index = self._next
            if index < count and ends[index] <= start:
                index = bisect_right(ends, start, index)
                if start == end:  # a deletion at the place of an insertion belongs together with it
                    while index > self._next and starts[index - 1] == start:
                        index -= 1
                self._copy(index)
            shift = raw_ends[index - 1] - ends[index - 1] if index else 0
            self._raw_starts.append(start + shift)
            self._raw_ends.append(end + shift)
            self._sizes.append(size)
            if index < count and (starts[index] < end or ends[index] == start == end):
                self._merge(start, end)

    def finish(self) -> Alignment:
        self._copy(len(self._before.starts))
        return Alignment(self._raw_starts, self._raw_ends, self._sizes)

    def _copy(self, until: int) -> None:
        before, since = self._before, self._next
        if since < until:
            self._raw_starts += before.raw_starts[since:until]
            self._raw_ends += before.raw_ends[since:until]
            self._sizes += map(sub, before.ends[since:until], before.starts[since:until])
            self._next = until

    def _merge(self, start: int, end: int) -> None:
        """Take the stretches that the edit `start:end` overlaps into the stretch just written for it."""
        before = self._before
        first_start = before.starts[self._next]
        if first_start < start:
            self._raw_starts[-1] = before.raw_starts[self._next]
            self._sizes[-1] += start - first_start
        if start == end == before.ends[self._next]:
            while self._next < len(before.ends) and before.ends[self._next] == start:
                self._raw_ends[-1] = before.raw_ends[self._next]
                self._next += 1
        self._end = end
        self._swallow()

    def _grow(self, end: int, growth: int) -> None:
        """Take an edit that begins inside the last written stretch into it."""
        self._sizes[-1] += growth
        if end > self._end:
            self._raw_ends[-1] += end - self._end
            self._sizes[-1] += end - self._end
            self._end = end
            self._swallow()

    def _swallow(self) -> None:
        """Widen the last written stretch by every stretch of `before` that begins inside it."""
        before = self._before
        while self._next < len(before.starts) and before.starts[self._next] < self._end:
            behind = before.ends[self._next] - self._end
            self._raw_ends[-1] = before.raw_ends[self._next] + max(0, -behind)
            if behind > 0:
                self._sizes[-1] += behind
                self._end += behind
            self._next += 1


def _map_span(
    starts: Sequence[int],
    ends: Sequence[int],
    other_starts: Sequence[int],
    other_ends: Sequence[int],
    start: int,
    end: int,
) -> tuple[int, int]:
    index = bisect_right(ends, start)  # the first stretch that ends after `start`
    if index < len(starts) and starts[index] <= start and (start < end or starts[index] < start):
        other_start = other_starts[index]
    else:
        other_start = start + (other_ends[index - 1] - ends[index - 1] if index else 0)
    index = bisect_left(starts, end) - 1  # the last stretch that starts before `end`
    if index >= 0 and ends[index] >= end and (start < end or ends[index] > end):
        other_end = other_ends[index]
    else:
        other_end = end + (other_ends[index] - ends[index] if index >= 0 else 0)
    return other_start, max(other_start, other_end)


class AlignedText:
    """A raw text, the edit records on it, the current text they lead to, and the map between the two.

    Immutable: applying a transform's edits gives a new one.

    Example:
        >>> text = AlignedText("<b>Ana</b>").edit("strip_html", 1, [Edit(0, 3, ""), Edit(6, 10, "")])
        >>> text.current, text.to_raw(0, 3), text.to_current(3, 6)
        ('Ana', (3, 6), (0, 3))
    """

    __slots__ = ("__dict__", "current", "raw", "records")

    def __init__(self, raw: str, records: tuple[EditRecord, ...] = (), *, current: str | None = None) -> None:
        """Replay `records` on `raw`; `current` is the known result of that replay, if it is known."""
        self.raw = raw
        self.records = records
        if current is None:
            current = raw
            for record in records:
                current = apply_edits(current, record.edits)
        self.current = current

    def edit(self, transform: str, version: int, edits: Iterable[Edit]) -> "AlignedText":
        """Apply the edits of one transform. Edits that change nothing leave no trace.

        Raises:
            InvalidEditError: the edits are out of order, overlap, or reach outside the current text.
        """
        current = self.current
        proposed = tuple(edits)
        changes = tuple([edit for edit in proposed if current[edit[0] : edit[1]] != edit[2]])
        try:
            if len(changes) < len(proposed):
                _check_bounds(proposed, len(current))  # a slice of offsets that fit no text may look like no change
            if not changes:
                return self
            edited = apply_edits(current, changes)
        except InvalidEditError as error:
            raise InvalidEditError(f"transform {transform!r}: {error}") from error
        return AlignedText(self.raw, (*self.records, EditRecord(transform, version, changes)), current=edited)

    @cached_property
    def alignment(self) -> Alignment:
        """The composed map of all records, made when it is first asked for."""
        alignment = Alignment()
        for record in self.records:
            alignment = alignment.then(record.edits)
        return alignment

    def to_raw(self, start: int, end: int) -> tuple[int, int]:
        """Map the span `start:end` of the current text to the raw text.

        A position inside a replaced stretch widens to the whole stretch. A span of only inserted characters widens to
        the raw character before it, or else after it.

        Raises:
            InvalidEditError: the span is reversed or reaches outside the current text.
        """
        _check_span(start, end, len(self.current), "current")
        raw_start, raw_end = self.alignment.to_raw(start, end)
        if raw_start == raw_end and start < end:
            raw_start, raw_end = (raw_start - 1, raw_end) if raw_start else (0, min(1, len(self.raw)))
        return raw_start, raw_end

    def to_current(self, start: int, end: int) -> tuple[int, int]:
        """Map the span `start:end` of the raw text to the current text; deleted characters map to an empty span.

        Raises:
            InvalidEditError: the span is reversed or reaches outside the raw text.
        """
        _check_span(start, end, len(self.raw), "raw")
        return self.alignment.to_current(start, end)


def _check_bounds(edits: Iterable[Edit], length: int) -> None:
    for start, end, replacement in edits:
        if not 0 <= start <= end <= length:
            raise InvalidEditError(
                f"edit {(start, end, replacement)!r} is reversed or does not lie in the text of {length} characters; "
                "propose offsets of the text that was given"
            )


def _check_span(start: int, end: int, length: int, which: str) -> None:
    if not 0 <= start <= end <= length:
        raise InvalidEditError(f"span {(start, end)!r} does not lie in the {which} text of {length} characters")
