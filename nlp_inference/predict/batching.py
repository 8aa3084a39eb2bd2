"""Batches of rows of different lengths, with little padding."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_MAX_WAVES = 8
_MIN_BUDGETS_PER_WAVE = 8
"""Smaller waves have smaller batches, which cost more time than encoding in parallel saves."""

_CHARACTERS_PER_TOKEN = 4
"""An estimate."""

BATCHES_PER_BUDGET = 64
"""The reciprocal of the cost of a batch: one call of the model costs as much time as 1/64 of the budget in tokens."""


def length_waves(characters: Sequence[int], *, token_budget: int) -> list[list[int]]:
    """Group texts of similar length into waves with the same number of characters; a few batches are one wave.

    Args:
        characters: the number of characters of each text.
        token_budget: tokens of a batch.

    Returns:
        Positions in `characters`, in order within a wave; the wave with the longest texts is first.

    Example:
        >>> length_waves([10, 4_000, 30, 4_000], token_budget=64)
        [[1], [3], [0, 2]]
    """
    order = sorted(range(len(characters)), key=lambda index: -characters[index])
    before, total = 0, sum(characters)
    count = max(1, min(_MAX_WAVES, total // (_CHARACTERS_PER_TOKEN * _MIN_BUDGETS_PER_WAVE * token_budget)))
    waves: list[list[int]] = [[] for _ in range(count)]
    for index in order:
        waves[min(count - 1, count * before // max(1, total))].append(index)
        before += characters[index]
    return [sorted(wave) for wave in waves if wave]


def token_budget_batches(lengths: Sequence[int], budget: int, *, batch_cost: int | None = None) -> Iterator[list[int]]:
    """Group rows of similar length so that no batch, padded to its longest row, has more than `budget` tokens.

    Rows are sorted by length and split where the total cost is lowest: the tokens, padding included, and `batch_cost`
    for each batch. Dynamic programming finds the splits, as in line breaking of paragraphs (Knuth and Plass 1981,
    https://doi.org/10.1002/spe.4380111102).

    Args:
        lengths: tokens of each row.
        budget: tokens of a batch, padding included. A longer row is a batch of its own.
        batch_cost: the overhead of a batch, in tokens that could be read in the same time; `None` means 1/64 of the
            budget. Backends choose the budget so that this overhead is small.

    Yields:
        Positions in `lengths`, longest rows first.

    Example:
        >>> list(token_budget_batches([3, 9, 4, 8], budget=20, batch_cost=5))
        [[1, 3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batch_cost = budget // BATCHES_PER_BUDGET if batch_cost is None else batch_cost
    cuts = _cheapest_cuts(np.array([lengths[index] for index in order], dtype=np.int64), budget, batch_cost)
    for start, end in pairwise(cuts):
        yield order[start:end]


def _cheapest_cuts(longest_first: NDArray[np.int64], budget: int, batch_cost: int) -> list[int]:
    """Return the start of each batch, and the end of the last one."""
    count = len(longest_first)
    positions = np.arange(count)
    cost = np.zeros(count + 1, dtype=np.int64)  # of everything before a position
    begin = np.zeros(count + 1, dtype=np.int64)  # of the batch that ends at a position
    first = 0
    for end in range(1, count + 1):
        while first < end - 1 and longest_first[first] * (end - first) > budget:
            first += 1
        costs = cost[first:end] + longest_first[first:end] * (end - positions[first:end])
        best = int(costs.argmin())
        cost[end], begin[end] = costs[best] + batch_cost, first + best
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(begin[cuts[-1]]))
    return cuts[::-1]
