"""The best valid tag sequence, searched only where the best tags of the units are not valid."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.tasks.tag_scheme import TagScheme

Tags = NDArray[np.int64]


class _Part(NamedTuple):
    """Units `begin:end`, whose tags are the best valid sequence within the part."""

    begin: int
    end: int


def best_valid_tags(scores: NDArray[np.float32], scheme: TagScheme, *, begins: Sequence[int] = (0,)) -> Tags:
    """Return the valid tag sequences with the highest sums of scores.

    The best tag of each unit is kept where these tags are valid next to each other. Around the other units, the
    algorithm of Viterbi (1967, https://doi.org/10.1109/TIT.1967.1054010) with forbidden transitions searches a part of
    the sequence, independent of its context. If the result fits the adjacent tags, it is optimal, because each part has
    its highest possible score; otherwise, the part grows.

    Args:
        scores: `[units, tags]`, log-probabilities of concatenated sequences.
        scheme: the scheme with the valid transitions.
        begins: the start of each sequence; no sequence is empty.

    Returns:
        `[units]`, tag ids.

    Example:
        >>> scheme = TagScheme("BIO", ["CITY"])  # its tags are O, B-CITY, I-CITY
        >>> best_valid_tags(np.log([[0.9, 0.05, 0.05], [0.1, 0.3, 0.6]], dtype=np.float32), scheme).tolist()
        [0, 1]
    """
    best: Tags = scores.argmax(axis=1)
    bounds = [*begins, len(best)]
    for sequence, units in groupby(scheme.misplaced(best, begins=begins), lambda unit: bisect_right(begins, unit)):
        begin, end = bounds[sequence - 1 : sequence + 1]
        _repair(best[begin:end], [unit - begin for unit in units], scores[begin:end], scheme)
    return best


def _repair(best: Tags, misplaced: Iterable[int], scores: NDArray[np.float32], scheme: TagScheme) -> None:
    """Write the best valid tags into `best` around the misplaced units."""
    parts: list[_Part] = []
    for unit in misplaced:
        if not parts or unit >= parts[-1].end:
            parts.append(_Part(max(0, unit - 1), unit + 1))
            _search_last(parts, best, scores, scheme)


def _search_last(parts: list[_Part], best: Tags, scores: NDArray[np.float32], scheme: TagScheme) -> None:
    """Write the best tags of the last part into `best`; the part grows and absorbs earlier parts until the tags fit."""
    units = len(best)
    begin, end = parts.pop()
    while True:
        while parts and begin < parts[-1].end:  # a prefix of a part's best tags need not be the best prefix
            begin = min(begin, parts.pop().begin)
        tags = _viterbi(scores[begin:end], scheme, is_first=begin == 0, is_last=end == units)
        size = end - begin
        fits_before = begin == 0 or scheme.follows[best[begin - 1], tags[0]]
        fits_after = end == units or scheme.follows[tags[-1], best[end]]
        if fits_before and fits_after:
            break
        begin = begin if fits_before else max(0, begin - size)
        end = end if fits_after else min(units, end + size)
    best[begin:end] = tags
    parts.append(_Part(begin, end))


def _viterbi(scores: NDArray[np.float32], scheme: TagScheme, *, is_first: bool, is_last: bool) -> Tags:
    """Return `[units]`, the best tags of a part; start and end constraints apply only at the ends of a sequence."""
    forbidden = scheme.forbidden
    score = np.where(scheme.starts, scores[0], -np.inf) if is_first else scores[0]
    origins = np.empty(scores.shape, dtype=np.int64)
    for unit in range(1, len(scores)):
        paths = score[:, None] + forbidden
        origins[unit] = paths.argmax(axis=0)
        score = paths.max(axis=0) + scores[unit]
    best = np.empty(len(scores), dtype=np.int64)
    best[-1] = (np.where(scheme.ends, score, -np.inf) if is_last else score).argmax()
    for unit in range(len(scores) - 1, 0, -1):
        best[unit - 1] = origins[unit, best[unit]]
    return best
