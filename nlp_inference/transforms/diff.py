"""Diff of two texts, for transforms that return a new text."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import compress, count
from operator import ne

import regex
from rapidfuzz.distance import Levenshtein

from nlp_inference.document.aligned_text import Edit
from nlp_inference.document.deletions import MAX_UNIT
from nlp_inference.document.mojibake import split_repair

LEVENSHTEIN_CELLS = 4_000_000
"""Gaps of up to this many character pairs are compared character by character, in some milliseconds each."""

FEW_CHANGES = 512
"""Longer gaps are also compared if at most this many single-character changes lead from one text to the other."""

WINDOW = 2048
"""Number of characters of each text that are compared at once in a gap that is still too long."""

_USED = WINDOW * 3 // 4
_SAME_COUNT = 0.8

_TOKENS = (regex.compile(r"[^\n]*+\n|[^\n]++"), regex.compile(r"\w++|\W++"))
"""Patterns of lines and words, by which two long texts are aligned."""

Gap = tuple[int, int, int, int]
"""Start and end in the text before, start and end in the text after."""


def diff_edits(before: str, after: str) -> Iterator[Edit]:
    """Find edits that turn `before` into `after`, one for each range that differs.

    Short texts get a shortest edit script. Long texts are first anchored at lines, then at words, that are unique in
    both and in the same order (patience diff). Gaps that are still too long are anchored at unchanged characters (those
    that occur about equally often in both texts), compared window by window. Local changes are therefore found at any
    length, and repairs of mojibake character by character. Only if two texts hardly agree within a window, the rest
    becomes one wide edit: a position inside it maps to the entire edit, and `Coverage.imprecise` reports it. Time and
    memory grow linearly with the length of the texts.

    Example:
        >>> list(diff_edits("Helo,  world", "Hello, world"))
        [Edit(start=3, end=3, replacement='l'), Edit(start=5, end=6, replacement='')]
    """
    for start, end, after_start, after_end in _differences(before, after):
        replacement = after[after_start:after_end]
        is_wide = min(end - start, len(replacement)) > MAX_UNIT
        yield from (is_wide and split_repair(before, start, end, replacement)) or (Edit(start, end, replacement),)


def character_edits(before: str, after: str) -> Iterable[Edit]:
    """Return the edits between two texts of the same length, each of which replaces one character.

    Example:
        >>> list(character_edits("ABc", "abc"))
        [Edit(start=0, end=1, replacement='a'), Edit(start=1, end=2, replacement='b')]
    """
    return [Edit(at, at + 1, after[at]) for at in compress(count(), map(ne, before, after))]


def _differences(before: str, after: str) -> Iterator[Gap]:
    gaps: Iterable[Gap] = [(0, len(before), 0, len(after))]
    for tokens in _TOKENS:
        gaps = [part for gap in gaps for part in _anchored(before, after, gap, tokens)]
    for gap in gaps:
        trimmed = _trimmed(before, after, gap)
        if _is_small(trimmed) or _differs_little(before, after, trimmed):
            yield from _levenshtein(before, after, trimmed)
        else:
            yield from _long(before, after, trimmed)


def _long(before: str, after: str, gap: Gap) -> Iterator[Gap]:
    """Yield the differences in a gap that is too long to be compared at once."""
    start, end, after_start, after_end = gap
    left, right = before[start:end], after[after_start:after_end]
    if len(left) == len(right) and len(set(zip(left, right, strict=True))) == len(set(left)):
        for at in compress(count(), map(ne, left, right)):  # each character has one replacement, as in lowercasing
            yield start + at, start + at + 1, after_start + at, after_start + at + 1
        return
    for offset, after_offset in _kept_characters(left, right):
        at, after_at = gap[0] + offset, gap[2] + after_offset
        if start < at or after_start < after_at:
            yield from _between(before, after, (start, at, after_start, after_at))
        start, after_start = at + 1, after_at + 1
    if start < end or after_start < after_end:
        yield from _between(before, after, (start, end, after_start, after_end))


def _between(before: str, after: str, gap: Gap) -> Iterable[Gap]:
    return _levenshtein(before, after, gap) if _is_small(gap) else (gap,)


def _kept_characters(left: str, right: str) -> Iterator[tuple[int, int]]:
    """Yield the positions in both texts of equal characters that the changes do not affect, in order."""
    counts, other_counts = Counter(left), Counter(right)
    kept = {
        character
        for character, number in counts.items()
        if min(number, other_counts[character]) >= _SAME_COUNT * max(number, other_counts[character])
    }
    places = [at for at, character in enumerate(left) if character in kept]
    other_places = [at for at, character in enumerate(right) if character in kept]
    skeleton = "".join([left[at] for at in places])
    other = "".join([right[at] for at in other_places])
    pairs = zip(count(), count(), strict=False) if skeleton == other else _window_matches(skeleton, other)
    for index, other_index in pairs:
        if index >= len(places):
            return
        yield places[index], other_places[other_index]


def _window_matches(left: str, right: str) -> Iterator[tuple[int, int]]:
    """Yield the positions of equal characters of two similar texts, which are compared window by window.

    Only the first part of each window is used, because its end is at different positions in the two texts.
    """
    start = other_start = 0
    while start < len(left) and other_start < len(right):
        window, other = left[start : start + WINDOW], right[other_start : other_start + WINDOW]
        is_last = start + WINDOW >= len(left) and other_start + WINDOW >= len(right)
        blocks = [block for block in Levenshtein.opcodes(window, other) if block.tag == "equal"]
        if not is_last:
            blocks = [block for block in blocks if block.src_end <= _USED and block.dest_end <= _USED]
            if sum(block.src_end - block.src_start for block in blocks) < _USED // 4:
                return
        for block in blocks:
            yield from zip(
                range(start + block.src_start, start + block.src_end),
                range(other_start + block.dest_start, other_start + block.dest_end),
                strict=True,
            )
        if is_last:
            return
        start, other_start = start + blocks[-1].src_end, other_start + blocks[-1].dest_end


def _is_small(gap: Gap) -> bool:
    start, end, after_start, after_end = gap
    return (end - start) * (after_end - after_start) <= LEVENSHTEIN_CELLS


def _differs_little(before: str, after: str, gap: Gap) -> bool:
    start, end, after_start, after_end = gap
    left, right = before[start:end], after[after_start:after_end]
    return Levenshtein.distance(left, right, score_cutoff=FEW_CHANGES) <= FEW_CHANGES


def _trimmed(before: str, after: str, gap: Gap) -> Gap:
    """Return the gap without the common prefix and suffix of both texts."""
    start, end, after_start, after_end = gap
    left, right = before[start:end], after[after_start:after_end]
    prefix = _agreement(left, right)
    left, right = left[prefix:], right[prefix:]
    suffix = _agreement(left[::-1], right[::-1])
    return start + prefix, end - suffix, after_start + prefix, after_end - suffix


def _agreement(left: str, right: str) -> int:
    """Return the length of the common prefix."""
    return next(compress(count(), map(ne, left, right)), min(len(left), len(right)))


def _levenshtein(before: str, after: str, gap: Gap) -> Iterator[Gap]:
    start, end, after_start, after_end = gap
    equal_to, after_equal_to = start, after_start
    hint = None if _is_small(gap) else FEW_CHANGES
    script = Levenshtein.opcodes(before[start:end], after[after_start:after_end], score_hint=hint)
    for part in script:
        if part.tag == "equal":
            if start + part.src_start > equal_to or after_start + part.dest_start > after_equal_to:
                yield equal_to, start + part.src_start, after_equal_to, after_start + part.dest_start
            equal_to, after_equal_to = start + part.src_end, after_start + part.dest_end
    if end > equal_to or after_end > after_equal_to:
        yield equal_to, end, after_equal_to, after_end


def _anchored(before: str, after: str, gap: Gap, tokens: "regex.Pattern[str]") -> Iterator[Gap]:
    """Split a gap that is too large at the tokens that occur once in each text, in the same order."""
    gap = _trimmed(before, after, gap)
    if _is_small(gap):
        yield gap
        return
    start, end, after_start, after_end = gap
    places = _unique(tokens, before, start, end)
    after_places = _unique(tokens, after, after_start, after_end)
    pairs = [(at, after_places[token], len(token)) for token, at in places.items() if token in after_places]
    for at, after_at, length in _longest_increasing(pairs):
        yield start, at, after_start, after_at
        start, after_start = at + length, after_at + length
    yield start, end, after_start, after_end


def _unique(tokens: "regex.Pattern[str]", text: str, start: int, end: int) -> dict[str, int]:
    found = tokens.findall(text, start, end)
    occurrences = Counter(found)
    places: dict[str, int] = {}
    for token in found:
        if occurrences[token] == 1:
            places[token] = start
        start += len(token)
    return places


def _longest_increasing(pairs: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return the longest subsequence of pairs in the order of the first text that is also ordered in the second."""
    ends: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for index, (_, after_at, _) in enumerate(pairs):
        length = bisect_left(ends, after_at)
        previous.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [after_at]
        last[length : length + 1] = [index]
    chain: list[tuple[int, int, int]] = []
    index = last[-1] if last else -1
    while index >= 0:
        chain.append(pairs[index])
        index = previous[index]
    return chain[::-1]
