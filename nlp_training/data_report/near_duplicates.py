"""Detection of near-duplicate texts without comparing every pair.

A text is the set of its shingles of five characters. At each position, its MinHash signature (Broder, "On the
resemblance and containment of documents", 1997, https://doi.org/10.1109/SEQUEN.1997.666900) equals that of another text
with a probability equal to their Jaccard similarity. Texts whose signatures agree in an entire band are candidates
(Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3, http://www.mmds.org). The similarity of
candidates is then computed exactly, so there are no false positives.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.8
"""The smallest Jaccard similarity of near-duplicates."""
_SHINGLE = 5
_BANDS, _ROWS = 24, 5
"""The bands of a signature. A pair with a similarity of 0.8 is missed with probability (1 - 0.8 ** 5) ** 24 = 7e-5."""
_TRIES = 4
"""The maximum number of candidates per text, band and group; boilerplate text may have thousands."""
_BLOCK = 500_000
"""The number of characters that are hashed together; each needs about fifty bytes during hashing."""
_KEPT = 1_000_000
"""The maximum number of cached shingles of compared texts, about 100 MB; a text is often compared repeatedly."""
_WORDS = re.compile(r"\w+")

Hashes = NDArray[np.uint64]


class NearText(NamedTuple):
    """A text, its position for `find` and `text_of`, and the groups that contain it exactly, which are not searched."""

    text: str
    position: int
    twins: frozenset[int] = frozenset()


class NearDuplicate(NamedTuple):
    """The positions of a text and of an earlier near-duplicate, and their similarity."""

    position: int
    earlier: int
    similarity: float


class NearDuplicates:
    """A search for near-duplicates of earlier texts, which are added in chunks.

    Case, punctuation and white space are ignored. The search needs 192 bytes per text.

    Args:
        text_of: returns the text at a position, to compare candidates.

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
        """Add texts.

        Args:
            texts: texts that are not empty, in the order that defines which is earlier.
            group: the number of their set, such as a split.
        """
        if texts:
            first = len(self._positions)
            self._twins |= {(first + index, twin) for index, one in enumerate(texts) for twin in one.twins}
            self._bands.append(_band_hashes([_normalized(one.text) for one in texts]))
            self._positions += [one.position for one in texts]
            self._groups += [group] * len(texts)

    def find(self) -> Iterator[NearDuplicate]:
        """Yield one pair for each text and each group with an earlier near-duplicate of it."""
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
    """Return the substrings of five characters of a text, ignoring case, punctuation and white space.

    Example:
        >>> sorted(shingles("My  CARD!"))
        [' card', 'my ca', 'y car']
    """
    normal = _normalized(text)
    return frozenset(normal[start : start + _SHINGLE] for start in range(len(normal) - _SHINGLE + 1))


def _normalized(text: str) -> str:
    """Return the words separated by single spaces, padded to one shingle; a text without words is unchanged."""
    return (" ".join(_WORDS.findall(text.casefold())) or text).ljust(_SHINGLE)


def _buckets(band: Hashes) -> Iterator[list[int]]:
    """Yield the indices of texts with the same hash, in order, if there are several."""
    order = np.argsort(band, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(band[order])) + 1, len(band))
    starts = np.append(0, ends[:-1])
    for bucket in np.flatnonzero(ends - starts > 1):
        yield order[starts[bucket] : ends[bucket]].tolist()


def _band_hashes(texts: Sequence[str]) -> Hashes:
    """Return the hashes of the bands of each text's signature, `[texts, bands]`."""
    signatures = np.full((_BANDS * _ROWS, len(texts)), np.iinfo(np.uint64).max, dtype=np.uint64)
    for owners, parts in _blocks(texts):
        signatures[:, owners] = np.minimum(signatures[:, owners], _signatures(parts))
    bands = np.zeros((_BANDS, len(texts)), dtype=np.uint64)
    for index, signature in enumerate(signatures):
        bands[index // _ROWS] = _mixed(bands[index // _ROWS] ^ signature)
    return bands.T


def _blocks(texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Yield blocks of the indices of texts and their parts, which together contain all shingles.

    A block is limited to `_BLOCK` characters and contains at most one part of each text.
    """
    owners: list[int] = []
    parts: list[str] = []
    characters = 0
    for owner, text in enumerate(texts):
        for start in range(0, len(text) - _SHINGLE + 1, _BLOCK - _SHINGLE + 1):
            part = text[start : start + _BLOCK]
            if owners and (characters + len(part) > _BLOCK or owners[-1] == owner):
                yield owners, parts
                owners, parts, characters = [], [], 0
            owners.append(owner)
            parts.append(part)
            characters += len(part)
    if owners:
        yield owners, parts


def _signatures(texts: Sequence[str]) -> Hashes:
    """Return the smallest shingle hash of each text by each hash function, `[hash functions, texts]`."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    lengths = np.array([len(text) for text in texts])
    starts = np.cumsum(lengths) - lengths
    bounds = np.stack([starts, starts + lengths - _SHINGLE + 1], axis=1).ravel()  # exclude shingles across two texts
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
    """Return a hash of every shingle."""
    count = len(codes) - _SHINGLE + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(_SHINGLE):
        hashes = _mixed(hashes ^ codes[offset : offset + count])
    return hashes


def _mixed(values: Hashes) -> Hashes:
    """Apply the finalizer of SplitMix64 (Steele, Lea and Flood, 2014, https://doi.org/10.1145/2660193.2660195)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
