"""Texts that are almost the same, found without comparing every pair.

A text is the set of its shingles, here five characters long. Its MinHash signature (Broder, "On the resemblance and
containment of documents", 1997, https://doi.org/10.1109/SEQUEN.1997.666900) agrees with that of another text at each
place with a probability of their Jaccard similarity. Texts whose signatures agree in a whole band are candidates
(Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3, http://www.mmds.org), and the similarity of
candidates is then computed exactly: nothing is reported that is not there.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.8
"""Least Jaccard similarity of near-duplicates."""
_SHINGLE = 5
_BANDS, _ROWS = 24, 5
"""At a similarity of 0.8, a pair agrees in no band with a probability of (1 - 0.8 ** 5) ** 24, which is 7e-5."""
_TRIES = 4
"""Candidates of a text that are compared in each band and group: those of a boilerplate may be thousands."""
_BLOCK = 500_000
"""Characters that are hashed at once; each takes some fifty bytes meanwhile."""
_KEPT = 1_000_000
"""Shingles of compared texts that are kept, about 100 MB: a text is often compared with several."""
_WORDS = re.compile(r"\w+")

Hashes = NDArray[np.uint64]


class NearText(NamedTuple):
    """A text, what `find` and `text_of` call it, and the groups in which it occurs exactly, which are not searched."""

    text: str
    position: int
    twins: frozenset[int] = frozenset()


class NearDuplicate(NamedTuple):
    """A text, an earlier one that it is almost the same as, by their positions, and their similarity."""

    position: int
    earlier: int
    similarity: float


class NearDuplicates:
    """Collects texts, a chunk at a time, and then finds those that are almost the same as an earlier one.

    Case, punctuation and white space do not count. Kept of each text are 192 bytes.

    Args:
        text_of: gives the text at a position again, to compare candidates.

    Example:
        >>> texts = ["Ana lives in Rome now", "Where is my card?", "Ana lives in Rome now!!", "where is my car"]
        >>> near = NearDuplicates(texts.__getitem__)
        >>> near.add([NearText(text, position) for position, text in enumerate(texts)], group=0)
        >>> list(near.find())
        [NearDuplicate(position=2, earlier=0, similarity=1.0), NearDuplicate(position=3, earlier=1, similarity=0.9...)]
    """

    def __init__(self, text_of: Callable[[int], str]) -> None:
        self._bands: list[Hashes] = []
        self._positions: list[int] = []
        self._groups: list[int] = []
        self._twins: set[tuple[int, int]] = set()  # text and group
        self._text_of = text_of
        self._kept: OrderedDict[int, frozenset[str]] = OrderedDict()
        self._kept_shingles = 0

    def add(self, texts: Sequence[NearText], *, group: int) -> None:
        """Take in some texts.

        Args:
            texts: without empty ones; the order in which they come decides which is earlier.
            group: a number of the set to which they belong, such as a split.
        """
        if texts:
            first = len(self._positions)
            self._twins |= {(first + index, twin) for index, one in enumerate(texts) for twin in one.twins}
            self._bands.append(_band_hashes([_normalized(one.text) for one in texts]))
            self._positions += [one.position for one in texts]
            self._groups += [group] * len(texts)

    def find(self) -> Iterator[NearDuplicate]:
        """For each text and each group with an earlier near-duplicate of it, one such pair."""
        if not self._bands:
            return
        bands = np.concatenate(self._bands)
        done = set(self._twins)  # text and group of the earlier one
        compared: set[tuple[int, int]] = set()
        for band in bands.T:
            for bucket in _buckets(band):
                yield from self._within(bucket, done, compared)

    def _within(
        self, bucket: Sequence[int], done: set[tuple[int, int]], compared: set[tuple[int, int]]
    ) -> Iterator[NearDuplicate]:
        """Compare each text of a bucket with the first of each group in it."""
        firsts: dict[int, list[int]] = {}
        for index in bucket:
            for group, earlier in firsts.items():
                for other in earlier:
                    if (index, group) in done:
                        break
                    if (index, other) not in compared:
                        compared.add((index, other))
                        similarity = self._similarity(index, other)
                        if similarity >= THRESHOLD:
                            done.add((index, group))
                            yield NearDuplicate(self._positions[index], self._positions[other], similarity)
            kept = firsts.setdefault(self._groups[index], [])
            if len(kept) < _TRIES:
                kept.append(index)

    def _similarity(self, index: int, other: int) -> float:
        one, two = self._shingles(index), self._shingles(other)
        common = len(one & two)
        return common / (len(one) + len(two) - common)

    def _shingles(self, index: int) -> frozenset[str]:
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        found = self._kept[index] = shingles(self._text_of(self._positions[index]))
        self._kept_shingles += len(found)
        while self._kept_shingles > _KEPT and len(self._kept) > 2:
            self._kept_shingles -= len(self._kept.popitem(last=False)[1])
        return found


def shingles(text: str) -> frozenset[str]:
    """The stretches of five characters of a text, without regard to case, punctuation and white space.

    Example:
        >>> sorted(shingles("My  CARD!"))
        [' card', 'my ca', 'y car']
    """
    normal = _normalized(text)
    return frozenset(normal[start : start + _SHINGLE] for start in range(len(normal) - _SHINGLE + 1))


def _normalized(text: str) -> str:
    """Words with one space between; long enough for one shingle. A text without a word is itself."""
    return (" ".join(_WORDS.findall(text.casefold())) or text).ljust(_SHINGLE)


def _buckets(band: Hashes) -> Iterator[list[int]]:
    """The texts, in their order, that have the same hash, where there are several."""
    order = np.argsort(band, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(band[order])) + 1, len(band))
    starts = np.append(0, ends[:-1])
    for bucket in np.flatnonzero(ends - starts > 1):
        yield order[starts[bucket] : ends[bucket]].tolist()


def _band_hashes(texts: Sequence[str]) -> Hashes:
    """`[texts, bands]`: of each text the hashes of the bands of its signature."""
    signatures = np.full((_BANDS * _ROWS, len(texts)), np.iinfo(np.uint64).max, dtype=np.uint64)
    for owners, stretches in _blocks(texts):
        signatures[:, owners] = np.minimum(signatures[:, owners], _signatures(stretches))
    bands = np.zeros((_BANDS, len(texts)), dtype=np.uint64)
    for place, signature in enumerate(signatures):
        bands[place // _ROWS] = _mixed(bands[place // _ROWS] ^ signature)
    return bands.T


def _blocks(texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Stretches of texts with all of their shingles, and which texts they are of; together they are no longer than a
    block, in which no text comes twice.
    """
    owners: list[int] = []
    stretches: list[str] = []
    characters = 0
    for owner, text in enumerate(texts):
        for start in range(0, len(text) - _SHINGLE + 1, _BLOCK - _SHINGLE + 1):
            stretch = text[start : start + _BLOCK]
            if owners and (characters + len(stretch) > _BLOCK or owners[-1] == owner):
                yield owners, stretches
                owners, stretches, characters = [], [], 0
            owners.append(owner)
            stretches.append(stretch)
            characters += len(stretch)
    if owners:
        yield owners, stretches


def _signatures(texts: Sequence[str]) -> Hashes:
    """`[places, texts]`: the least hash of any shingle of each text, by each of the hash functions."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    lengths = np.array([len(text) for text in texts])
    starts = np.cumsum(lengths) - lengths
    bounds = np.stack([starts, starts + lengths - _SHINGLE + 1], axis=1).ravel()  # shingles across two texts are none
    if bounds[-1] == len(codes) - _SHINGLE + 1:
        bounds = bounds[:-1]
    hashes = _shingle_hashes(codes)
    random = np.random.default_rng(1997)
    masks, factors = random.integers(0, 2**64, size=(2, _BANDS * _ROWS), dtype=np.uint64)
    return np.stack(
        [
            np.minimum.reduceat((hashes ^ mask) * factor, bounds)[::2]
            for mask, factor in zip(masks, factors | np.uint64(1), strict=True)
        ]
    )


def _shingle_hashes(codes: NDArray[np.uint32]) -> Hashes:
    """A hash of every stretch of characters as long as a shingle."""
    count = len(codes) - _SHINGLE + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(_SHINGLE):
        hashes = _mixed(hashes ^ codes[place : place + count])
    return hashes


def _mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014, https://doi.org/10.1145/2660193.2660195)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
