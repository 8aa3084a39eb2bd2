"""Aligned text: the raw text, the edits on it, their replay, and the map between the raw and the current text.

Offsets are code points, ends are exclusive. An `Edit` replaces `before[start:end]`; a record contains the edits of one
transform, in the coordinates of the text before that transform.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain, compress, repeat
from operator import itemgetter, ne, sub
from typing import Any, NamedTuple, Self

from nlp_inference._utils.cached import cached
from nlp_inference.document.alignment import Alignment, Moves
from nlp_inference.document.limits import growth_limit
from nlp_inference.errors import InvalidEditError, TooLargeError


class Edit(NamedTuple):
    """Replace the characters `start:end` by `replacement`."""

    start: int
    end: int
    replacement: str


Range = tuple[int, int]
"""Start and exclusive end of a part of a text, in code points."""

FindDeleted = Callable[[str, Sequence[Edit]], Iterable[Range]]
"""A function of a text and its edits that returns the ranges of the text that the edits removed; see
`nlp_inference.document.deletions`."""

make_edit: Callable[[tuple[int, int, str]], Edit] = partial(tuple.__new__, Edit)
"""Convert a triple to an Edit at C speed: `Edit(*triple)` and `Edit._make` run Python code for every edit."""


class Cuts:
    """A text that is split into kept pieces and pieces that have the same replacement.

    It is an iterable of Edits, but much cheaper than a list, because it runs no Python code per edit.

    Args:
        pieces: kept, replaced, kept, ..., replaced, kept, as returned by splitting with a pattern in one group. Joined,
            they are the text.
        replacement: the replacement of every second piece.

    Example:
        >>> list(Cuts(["a", "  ", "b"], replacement=" "))
        [Edit(start=1, end=3, replacement=' ')]
    """

    __slots__ = ("pieces", "replacement")

    def __init__(self, pieces: Sequence[str], *, replacement: str) -> None:
        self.pieces = pieces
        self.replacement = replacement

    def __iter__(self) -> Iterator[Edit]:
        starts, ends = self.bounds()
        return map(make_edit, zip(starts, ends, repeat(self.replacement), strict=False))

    def bounds(self) -> tuple[list[int], list[int]]:
        """Return the starts and the ends of the replaced pieces."""
        bounds = list(accumulate(map(len, self.pieces)))
        return bounds[:-1:2], bounds[1::2]


@dataclass(frozen=True)
class EditRecord:
    """The edits of one transform, in order and without overlap, with its name and version."""

    transform: str
    version: int
    edits: tuple[Edit, ...]

    @classmethod
    def of_cuts(cls, transform: str, version: int, cuts: Cuts) -> Self:
        """Return the record of `cuts`, stored as columns; its `edits` are created on first access."""
        record = cls.__new__(cls)
        columns = (*cuts.bounds(), cuts.replacement)
        record.__dict__.update({"transform": transform, "version": version, "_columns": columns})
        return record

    def __getattr__(self, name: str) -> Any:
        """Create the `edits` from the columns on first access."""
        if name != "edits" or "_columns" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        starts, ends, replacement = self.__dict__["_columns"]
        edits = self.__dict__["edits"] = tuple(map(make_edit, zip(starts, ends, repeat(replacement), strict=False)))
        return edits

    def bounds(self) -> tuple[Sequence[int], Sequence[int]]:
        """Return the starts and the ends of the edits."""
        if "_columns" in self.__dict__:
            starts, ends, _ = self.__dict__["_columns"]
            return starts, ends
        return [edit[0] for edit in self.edits], [edit[1] for edit in self.edits]

    def longest_replacement(self) -> int:
        """Return the length of the longest replacement."""
        if "_columns" in self.__dict__:
            return len(self.__dict__["_columns"][2])
        return max([len(edit[2]) for edit in self.edits], default=0)

    @property
    def count(self) -> int:
        """The number of edits."""
        return len(self.__dict__["_columns"][0]) if "_columns" in self.__dict__ else len(self.edits)

    def moves(self) -> Moves:
        """Return the edits as columns, without those that replace one character by one and so shift nothing."""
        if "_columns" not in self.__dict__:
            moving = [edit for edit in self.edits if not edit[1] - edit[0] == len(edit[2]) == 1]
            return [edit[0] for edit in moving], [edit[1] for edit in moving], [len(edit[2]) for edit in moving]
        starts, ends, replacement = self.__dict__["_columns"]
        size = len(replacement)
        if size == 1:
            moving = list(map(ne, map(sub, ends, starts), repeat(1)))
            starts, ends = list(compress(starts, moving)), list(compress(ends, moving))
        return starts, ends, [size] * len(starts)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with every edit applied.

    Raises:
        InvalidEditError: the edits are out of order, overlap, or extend beyond the text.

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
        raise InvalidEditError(f"an edit ends at {position}, but the text has {len(text)} characters")
    pieces.append(text[position:])
    return "".join(pieces)


class AlignedText:
    """A raw text, its edit records, the resulting current text, and the map between the two texts.

    The object is immutable: applying edits returns a new one.

    Example:
        >>> text = AlignedText("<b>Ana</b>").edit("strip_html", 1, [Edit(0, 3, ""), Edit(6, 10, "")])
        >>> text.current, text.to_raw(0, 3), text.to_current(3, 6)
        ('Ana', (3, 6), (0, 3))
    """

    __slots__ = ("__dict__", "_finders", "current", "raw", "records")

    def __init__(
        self,
        raw: str,
        records: tuple[EditRecord, ...] = (),
        *,
        current: str | None = None,
        finders: tuple[FindDeleted | None, ...] = (),
    ) -> None:
        """Replay `records` on `raw`.

        Args:
            raw: the raw text.
            records: the edits on it.
            current: the result of the replay, if it is known.
            finders: the functions that find the deletions of the last records.
        """
        self.raw = raw
        self.records = records
        self._finders = finders
        if current is None:
            current = raw
            for record in records:
                current = apply_edits(current, record.edits)
        self.current = current

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the finders, which belong to transforms of this process."""
        return _replayed, (self.raw, self.records, self.current)

    def steps(self) -> Iterator[tuple[EditRecord, FindDeleted | None]]:
        """Return each record with the function that finds its deletions, or `None` if that is unknown."""
        unknown = repeat(None, len(self.records) - len(self._finders))
        return zip(self.records, chain(unknown, self._finders), strict=True)

    def edit(
        self, transform: str, version: int, edits: Iterable[Edit], *, find_deleted: FindDeleted | None = None
    ) -> "AlignedText":
        """Apply the edits of one transform. Edits that change nothing are not recorded.

        Args:
            transform: the name of the transform.
            version: the version of the transform.
            edits: in order and without overlap, in code points of the current text.
            find_deleted: the function that finds the deleted ranges; see `nlp_inference.document.deletions`.

        Raises:
            InvalidEditError: the edits are out of order, overlap, or extend beyond the current text.
            TooLargeError: the text would become too long, or has too many edits; see `nlp_inference.document.limits`.
        """
        if isinstance(edits, Cuts):
            _check_cuts(transform, edits, self.current)
            replaced = edits.pieces[1::2]
            if edits.replacement not in replaced and "" not in replaced:  # every cut changes something
                return self._cut(transform, version, edits, find_deleted)
        proposed = tuple(edits)
        if not proposed:
            return self
        current = self.current
        changes = tuple([edit for edit in proposed if current[edit[0] : edit[1]] != edit[2]])
        try:
            if len(changes) < len(proposed):
                _check_bounds(proposed, len(current))  # a slice with invalid offsets can look like no change
            if not changes:
                return self
            removed = sum(map(itemgetter(1), changes)) - sum(map(itemgetter(0), changes))
            inserted = sum(map(len, map(itemgetter(2), changes)))
            self._check_growth(transform, len(current) - removed + inserted, len(changes))
            edited = apply_edits(current, changes)
        except InvalidEditError as error:
            raise InvalidEditError(f"transform {transform!r}: {error}") from error
        return self._with_record(EditRecord(transform, version, changes), edited, find_deleted)

    def _cut(self, transform: str, version: int, cuts: Cuts, find_deleted: FindDeleted | None) -> "AlignedText":
        """Apply cuts that all change something; they need no check of order or overlap."""
        if len(cuts.pieces) == 1:
            return self
        count = len(cuts.pieces) // 2
        self._check_growth(transform, sum(map(len, cuts.pieces[::2])) + count * len(cuts.replacement), count)
        record = EditRecord.of_cuts(transform, version, cuts)
        return self._with_record(record, cuts.replacement.join(cuts.pieces[::2]), find_deleted)

    def _with_record(self, record: EditRecord, current: str, find_deleted: FindDeleted | None) -> "AlignedText":
        finders = (*self._finders, find_deleted)
        return AlignedText(self.raw, (*self.records, record), current=current, finders=finders)

    def _check_growth(self, transform: str, length: int, count: int) -> None:
        """Check the limits of `count` edits that give a text of `length` characters, before they are applied."""
        self.check_length(transform, length)
        edits = count + sum(record.count for record in self.records)
        if edits > growth_limit(len(self.raw)):
            raise TooLargeError(
                f"transform {transform!r} increases the edits of a text of {len(self.raw)} characters to {edits}; the "
                f"limit is {growth_limit(len(self.raw))}. Use fewer transforms, or split the document"
            )

    def check_length(self, transform: str, length: int) -> None:
        """Check that `transform` may produce a text of `length` characters.

        Raises:
            TooLargeError: the length exceeds `nlp_inference.document.limits.growth_limit` of this raw text.
        """
        most = growth_limit(len(self.raw))
        if length > most:
            raise TooLargeError(
                f"transform {transform!r} would expand a text of {len(self.raw)} characters to {length} characters; "
                f"the limit is {most}. Correct the transforms of the model, or split the document"
            )

    @cached
    def alignment(self) -> Alignment:
        """The composed map of all records, computed on first access."""
        alignment = Alignment()
        for record in self.records:
            alignment = alignment.then(record.moves())
        return alignment

    def to_raw(self, start: int, end: int) -> tuple[int, int]:
        """Map the span `start:end` of the current text to the raw text.

        A position inside a replaced range widens to the entire range. A span of inserted characters only widens to the
        raw character before it or, at the start of the text, after it.

        Raises:
            InvalidEditError: the span is reversed or extends beyond the current text.
        """
        _check_span(start, end, len(self.current), "current")
        raw_start, raw_end = self.alignment.to_raw(start, end)
        if raw_start == raw_end and start < end:
            raw_start, raw_end = (raw_start - 1, raw_end) if raw_start else (0, min(1, len(self.raw)))
        return raw_start, raw_end

    def to_current(self, start: int, end: int) -> tuple[int, int]:
        """Map the span `start:end` of the raw text to the current text; deleted characters map to an empty span.

        Raises:
            InvalidEditError: the span is reversed or extends beyond the raw text.
        """
        _check_span(start, end, len(self.raw), "raw")
        return self.alignment.to_current(start, end)


def _replayed(raw: str, records: tuple[EditRecord, ...], current: str) -> AlignedText:
    return AlignedText(raw, records, current=current)


def _check_cuts(transform: str, cuts: Cuts, text: str) -> None:
    if "".join(cuts.pieces) != text or len(cuts.pieces) % 2 == 0:
        raise InvalidEditError(
            f"transform {transform!r}: the {len(cuts.pieces)} pieces are not the text; split it into kept, replaced, "
            "kept, ..., kept, so that the joined pieces are the input text"
        )


def _check_bounds(edits: Iterable[Edit], length: int) -> None:
    for start, end, replacement in edits:
        if not 0 <= start <= end <= length:
            raise InvalidEditError(
                f"edit {(start, end, replacement)!r} is reversed or outside the text of {length} characters; "
                "propose offsets of the input text"
            )


def _check_span(start: int, end: int, length: int, which: str) -> None:
    if not 0 <= start <= end <= length:
        raise InvalidEditError(f"span {(start, end)!r} is reversed or outside the {which} text of {length} characters")
