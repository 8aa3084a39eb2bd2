"""Detection of raw characters that preprocessing removed, so that the model did not see them.

Source of the character classes: Unicode Standard Annex #44, https://www.unicode.org/reports/tr44/
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter

import regex

from nlp_inference.document.aligned_text import AlignedText, Edit, EditRecord, Range, apply_edits
from nlp_inference.document.alignment import Alignment
from nlp_inference.document.mojibake import split_repair

TAG_LETTERS = r"\U000E0030-\U000E0039\U000E0041-\U000E005A\U000E0061-\U000E007A"
"""Invisible letters and digits, which can hide a message."""

_LETTERS = rf"\p{{L}}\p{{N}}\p{{Other_Alphabetic}}\p{{Braille}}\p{{Regional_Indicator}}{TAG_LETTERS}"
"""A set of letters and digits; those of Braille and of flags are symbols in Unicode."""

_MAX_GAP = 3
"""Greatest gap between two deletions that are joined, because a diff keeps characters that match by chance."""

MAX_UNIT = 64
"""Edits that replace more characters than this by more characters than this are reported as imprecise."""

_MAX_SHRINK = 4
"""Mojibake has up to four characters for one."""


def has_content(text: str) -> bool:
    """Return whether `text` contains a letter or a digit of any script.

    Example:
        >>> has_content("3 < 5"), has_content(" --> ")
        (True, False)
    """
    return _content().search(text) is not None


def deleted_ranges(aligned: AlignedText) -> tuple[Range, ...]:
    """Return the ranges of the raw text that contain letters or digits and that the edits removed.

    Each transform reports which removed characters are content (`Transform.find_deleted`); `find_lost` decides for the
    edits of an unknown transform. The ranges are sorted and disjoint, without white space at their ends.

    Example:
        >>> deleted_ranges(AlignedText("Ana Silva").edit("drop", 1, [Edit(3, 9, "")]))
        ((4, 9),)
    """
    if not aligned.records:
        return ()
    found: list[Range] = []
    before = _Before(aligned)
    for index, (record, find) in enumerate(aligned.steps()):
        if find is not keeps_content:
            text = before.text(index)
            if has_content(_removed(record, text)):
                found += before.to_raw(index, (find or find_lost)(text, record.edits))
    return tuple(trim_ranges(aligned.raw, merge_ranges(found))) if found else ()


def imprecise_ranges(aligned: AlignedText) -> tuple[Range, ...]:
    """Return the ranges of the raw text that one edit rewrote as a unit although both sides are long.

    A span that touches such a range covers all of it, which may be much more than the model saw.
    """
    if not aligned.records:
        return ()
    found: list[Range] = []
    before = _Before(aligned)
    for index, record in enumerate(aligned.records):
        if record.longest_replacement() > MAX_UNIT:
            wide = [edit[:2] for edit in record.edits if min(edit[1] - edit[0], len(edit[2])) > MAX_UNIT]
            found += before.to_raw(index, wide)
    return tuple(merge_ranges(found))


def keeps_content(_text: str, _edits: Sequence[Edit]) -> Iterable[Range]:
    """Return no ranges, for transforms that remove no letter or digit without an equivalent."""
    return ()


def find_lost(text: str, edits: Sequence[Edit]) -> Iterable[Range]:
    """Return the ranges of `text` whose letters or digits are missing from the replacements of `edits`.

    This is the rule for transforms that do not report their deletions. Case, accents and compatibility forms are
    ignored. An ASCII letter or digit must be in the replacement. Other letters may be replaced by different characters,
    as in a transliteration or a repair of mojibake: they count as lost if the replacement has no letter or digit, or
    fewer than a quarter as many.

    Example:
        >>> list(find_lost("top secret", [Edit(3, 10, "")])), list(find_lost("ROME", [Edit(0, 4, "rome")]))
        ([(3, 10)], [])
    """
    if _fold("".join([text[start:end] for start, end, _ in edits])) == _fold("".join(map(itemgetter(2), edits))):
        return ()
    lost = [(start, end) for start, end, new in edits if not _is_kept(text, start, end, new)]
    return _join_close(text, lost)


def find_replaced(text: str, edits: Sequence[Edit]) -> Iterator[Range]:
    """Return the ranges with letters or digits that `edits` replaced by a constant that does not contain their words.

    Example:
        >>> list(find_replaced("at ana@example.org", [Edit(3, 18, "<email>")]))
        [(3, 18)]
    """
    for start, end, new in edits:
        removed = text[start:end]
        if has_content(removed) and _letters(removed) != _letters(new) and _words(removed) not in _words(new):
            yield start, end


def merge_ranges(ranges: Iterable[Range]) -> list[Range]:
    """Return the union of `ranges`, sorted and disjoint, without empty ranges.

    Example:
        >>> merge_ranges([(4, 6), (0, 2), (5, 9), (3, 3)])
        [(0, 2), (4, 9)]
    """
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        elif start < end:
            merged.append((start, end))
    return merged


def trim_ranges(text: str, ranges: Iterable[Range]) -> Iterator[Range]:
    """Yield `ranges` of `text` without white space at their edges, and without those that contain nothing else.

    Example:
        >>> list(trim_ranges("Ana  Bo ", [(3, 8), (3, 5)]))
        [(5, 7)]
    """
    for start, end in ranges:
        surface = text[start:end]
        first = start + len(surface) - len(surface.lstrip())
        if first < end:
            yield first, start + len(surface.rstrip())


class _Before:
    """The text before each record, and its map to the raw text; both are computed as far as needed."""

    def __init__(self, aligned: AlignedText) -> None:
        self._records = aligned.records
        self._text, self._replayed = aligned.raw, 0
        self._alignment, self._composed = Alignment(), 0

    def text(self, index: int) -> str:
        for record in self._records[self._replayed : index]:
            self._text = apply_edits(self._text, record.edits)
        self._replayed = index
        return self._text

    def to_raw(self, index: int, ranges: Iterable[Range]) -> Iterator[Range]:
        for start, end in ranges:
            for record in self._records[self._composed : index]:
                self._alignment = self._alignment.then(record.moves())
            self._composed = index
            yield self._alignment.to_raw(start, end)


def _removed(record: EditRecord, text: str) -> str:
    return "".join([text[start:end] for start, end in zip(*record.bounds(), strict=True)])


def _is_kept(text: str, start: int, end: int, new: str) -> bool:
    removed = _letters(text[start:end])
    if not removed:
        return True
    inserted = _letters(new)
    if removed in inserted:
        return True
    ascii_letters = Counter(character for character in removed if character.isascii())
    if not ascii_letters - Counter(inserted) and inserted and len(removed) <= _MAX_SHRINK * len(inserted):
        return True
    return not new.isascii() and split_repair(text, start, end, new) is not None


def _join_close(text: str, lost: Sequence[Range]) -> Iterator[Range]:
    """Join deletions that are separated only by a few characters of the same word.

    A deletion with white space at its edge is next to a complete word, which was not kept by chance.
    """
    pending: Range | None = None
    for start, end in lost:
        if pending is not None:
            if start - pending[1] <= _MAX_GAP and not _has_space(text[pending[1] - 1 : start + 1]):
                pending = pending[0], end
                continue
            yield pending
        pending = start, end
    if pending is not None:
        yield pending


def _has_space(text: str) -> bool:
    return any(map(str.isspace, text))


def _letters(text: str) -> str:
    return "".join(_content().findall(_fold(text)))


def _words(text: str) -> str:
    """Return the runs of letters and digits, with a space at both ends of each."""
    return "".join([f" {_letters(run)} " for run in _runs().findall(text)])


def _fold(text: str) -> str:
    """Remove differences of case, accents and compatibility forms."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKD", text.casefold())


@lru_cache(maxsize=1)
def _content() -> "regex.Pattern[str]":
    return regex.compile(rf"[{_LETTERS}--\p{{M}}]", regex.V1)


@lru_cache(maxsize=1)
def _runs() -> "regex.Pattern[str]":
    return regex.compile(rf"[{_LETTERS}\p{{M}}]*[{_LETTERS}--\p{{M}}][{_LETTERS}\p{{M}}]*", regex.V1)
