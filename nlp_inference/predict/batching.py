"""Rows of different lengths into batches with little padding."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_MOST_WAVES = 8
_BUDGETS_OF_A_WAVE = 8
"""At least. A wave of fewer batches has smaller ones, which take more time than what runs beside them saves."""

_CHARACTERS_A_TOKEN = 4
"""About."""

_BATCHES_A_BUDGET = 64
"""What one more batch costs, as a share of the budget: calling a model takes the time of so many tokens less."""


def length_waves(characters: Sequence[int], *, token_budget: int) -> list[list[int]]:
    """Group texts of like length into parts of as many characters each; few batches are one part.

    Args:
        characters: of each text.
        token_budget: tokens of a batch.

    Returns:
        Positions in `characters`, in order within a part; the longest texts first.

    Example:
        >>> length_waves([10, 4_000, 30, 4_000], token_budget=64)
        [[1], [3], [0, 2]]
    """
    order = sorted(range(len(characters)), key=lambda place: -characters[place])
    before, total = 0, sum(characters)
    count = max(1, min(_MOST_WAVES, total // (_CHARACTERS_A_TOKEN * _BUDGETS_OF_A_WAVE * token_budget)))
    waves: list[list[int]] = [[] for _ in range(count)]
    for place in order:
        waves[min(count - 1, count * before // max(1, total))].append(place)
        before += characters[place]
    return [sorted(wave) for wave in waves if wave]


def token_budget_batches(lengths: Sequence[int], budget: int, *, batch_cost: int | None = None) -> Iterator[list[int]]:
    """Group rows of like length so that no batch, padded to its longest row, holds more than `budget` tokens.

    Of all ways to cut the rows, in the order of their lengths, it takes the one of least cost: the tokens, padding
    included, and `batch_cost` for each batch. It is found by dynamic programming, as lines of a paragraph are (Knuth
    and Plass 1981, https://doi.org/10.1002/spe.4380111102).

    Args:
        lengths: tokens of each row.
        budget: tokens of a batch, padding included. A row that is longer makes a batch of its own.
        batch_cost: what one more batch costs, in tokens that could be read in the same time; `None` takes 1/64 of the
            budget, which a backend chooses so that calling the model is little beside running it.

    Yields:
        Positions in `lengths`, longest rows first.

    Example:
        >>> list(token_budget_batches([3, 9, 4, 8], budget=20, batch_cost=5))
        [[1, 3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batch_cost = budget // _BATCHES_A_BUDGET if batch_cost is None else batch_cost
    cuts = _cheapest_cuts(np.array([lengths[index] for index in order], dtype=np.int64), budget, batch_cost)
    for start, end in pairwise(cuts):
        yield order[start:end]


def _cheapest_cuts(longest_first: NDArray[np.int64], budget: int, batch_cost: int) -> list[int]:
    """Where batches begin, and where the last one ends."""
    count = len(longest_first)
    places = np.arange(count)
    cost = np.zeros(count + 1, dtype=np.int64)  # of everything before a place
    begin = np.zeros(count + 1, dtype=np.int64)  # of the batch that ends at a place
    first = 0
    for end in range(1, count + 1):
        while first < end - 1 and longest_first[first] * (end - first) > budget:
            first += 1
        costs = cost[first:end] + longest_first[first:end] * (end - places[first:end])
        best = int(costs.argmin())
        cost[end], begin[end] = costs[best] + batch_cost, first + best
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(begin[cuts[-1]]))
    return cuts[::-1]
