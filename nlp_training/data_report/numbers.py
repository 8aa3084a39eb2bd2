"""How gold numbers are distributed, and which of them are far from all others."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

OUTLIER = 10.0
"""A number is an outlier if it is this many standard deviations of the other numbers away from their mean."""

_QUANTILES = (5, 25, 50, 75, 95)
_FEWEST = 10
"""Numbers from which on a standard deviation says something."""


def distribution(numbers: Sequence[float]) -> dict[str, float]:
    """Return number, mean, standard deviation, least, greatest and quantiles of some numbers.

    Args:
        numbers: at least one.

    Example:
        >>> found = distribution([1.0, 2.0, 3.0])
        >>> found["count"], found["mean"], found["min"], found["max"], found["50 %"]
        (3, 2.0, 1.0, 3.0, 2.0)
    """
    values = np.array(numbers, dtype=np.float64)
    quantiles = zip(_QUANTILES, np.percentile(values, _QUANTILES).tolist(), strict=True)
    return {
        "count": len(values),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        **{f"{share} %": value for share, value in quantiles},
        "max": float(values.max()),
    }


def outliers(numbers: Sequence[float]) -> Iterator[tuple[int, float]]:
    """Find numbers that are far from the mean of all others.

    Args:
        numbers: fewer than 10 have no outliers.

    Returns:
        The index of each, and how many standard deviations of the others it is away; none if the others are equal.

    Example:
        >>> [(index, round(away)) for index, away in outliers([1, 2, 3, 4, 5, 6, 7, 8, 9, 1000])]
        [(9, 385)]
    """
    values = np.array(numbers, dtype=np.float64)
    rest = len(values) - 1
    if rest + 1 < _FEWEST:
        return
    centred = values - np.median(values)  # sums of squares of numbers far from 0 are inexact
    mean: NDArray[np.float64] = (centred.sum() - centred) / rest
    variance = ((centred**2).sum() - centred**2) / rest - mean**2
    known = variance > 1e-12 * np.maximum(mean**2, np.finfo(np.float64).tiny)
    away = np.abs(centred - mean) / np.sqrt(np.where(known, variance, np.inf))
    for index in np.flatnonzero(away >= OUTLIER).tolist():
        yield index, float(away[index])
