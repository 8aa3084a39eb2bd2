"""Rows of different lengths into batches with little padding."""

from collections.abc import Iterator, Sequence


def token_budget_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Group rows of like length so that no batch, padded to its longest row, holds more than `budget` tokens.

    Args:
        lengths: tokens of each row.
        budget: tokens of a batch, padding included. A row that is longer makes a batch of its own.

    Yields:
        Positions in `lengths`, longest rows first.

    Example:
        >>> list(token_budget_batches([3, 9, 4, 8], budget=18))
        [[1, 3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size
