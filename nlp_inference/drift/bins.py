"""The fixed bins of the histograms, so that any two profiles can be added and compared."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Bins(NamedTuple):
    """Names of bins, and the start of each except the first, which contains the value 0 only.

    Example:
        >>> SHARES.of(np.array([0.0, 0.005, 0.01, 1.0])).tolist()
        [0, 1, 2, 7]
        >>> [LENGTHS.names[index] for index in LENGTHS.of(np.array([0, 1, 3, 4, 2**30]))]
        ['0', '1', '2-3', '4-7', '1048576+']
    """

    names: tuple[str, ...]
    begins: NDArray[np.float64]

    def of(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return the bin index of each value, in the shape of `values`."""
        return np.searchsorted(self.begins, values, side="right")

    def histogram(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Count the values of each row in each bin: `[..., values]` to `[..., bins]`."""
        size = len(self.names)
        rows = values.reshape(-1, values.shape[-1])
        cells = self.of(rows) + size * np.arange(len(rows))[:, None]
        return np.bincount(cells.ravel(), minlength=size * len(rows)).reshape(*values.shape[:-1], size)


_SMALLEST = float(np.nextafter(0, 1))
_POWERS = [2**power for power in range(21)]
_PERCENT = (1, 2, 5, 10, 20, 50)
_RATES = (1, 2, 4, 8, 16, 32)

LENGTHS = Bins(
    ("0", "1", *(f"{low}-{high - 1}" for low, high in pairwise(_POWERS[1:])), f"{_POWERS[-1]}+"),
    np.array(_POWERS, dtype=np.float64),
)
"""Numbers of characters or tokens, by powers of two."""

SHARES = Bins(
    ("0%", "<1%", *(f"{low}-{high}%" for low, high in pairwise(_PERCENT)), "50%+"),
    np.array([_SMALLEST, *(percent / 100 for percent in _PERCENT)]),
)
"""Shares of a document, from 0 to 1."""

RATES = Bins(
    ("0", "<1", *(f"{low}-{high}" for low, high in pairwise(_RATES)), "32+"),
    np.array([_SMALLEST, *_RATES]),
)
"""Predicted spans per 1,000 characters."""
