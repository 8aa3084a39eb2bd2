"""Bootstrap intervals of scores by resampling documents from their counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_training.metrics.counts import CountTable

RESAMPLES = 1000
"""The number of resampled data sets for an interval."""

CONFIDENCE = 0.95

_CELLS = 4_000_000
"""The maximum number of values that are drawn together, to limit memory."""


def resampled_totals(table: CountTable, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Return the totals of data sets of the same size that are drawn from the documents with replacement.

    Documents with equal counts are drawn together from the multinomial distribution, which is equivalent to drawing
    them one by one. The order of the documents does not matter.

    Args:
        table: the counts of the documents.
        resamples: the number of data sets to draw.
        seed: the seed of the draw.

    Returns:
        `[resamples, labels, 3]`: correct, found and gold of each label.

    Example:
        >>> from nlp_training.metrics.counts import tabulate
        >>> table = tabulate([{"A": (1, 1, 1)}] * 5)
        >>> resampled_totals(table, resamples=2).tolist()
        [[[5.0, 5.0, 5.0]], [[5.0, 5.0, 5.0]]]
    """
    totals = resampled_sums(table.counts, table.times, resamples=resamples, seed=seed)
    return totals.reshape(resamples, len(table.labels), 3)


def resampled_sums(
    rows: NDArray[Any], times: NDArray[np.int64], *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Return the sums over data sets of the same size that are drawn with replacement; see `resampled_totals`.

    Args:
        rows: `[kinds, columns]`, the numbers of documents; equal documents are one row.
        times: `[kinds]`, how many documents each row stands for.
        resamples: the number of data sets to draw.
        seed: the seed of the draw.

    Returns:
        `[resamples, columns]`.

    Example:
        >>> resampled_sums(np.array([[0.5]]), np.array([4]), resamples=2).tolist()
        [[2.0], [2.0]]
    """
    documents = int(times.sum())
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS // len(times))
    sums = np.empty((resamples, rows.shape[1]))
    for start in range(0, resamples, at_once):
        part = sums[start : start + at_once]
        part[:] = random.multinomial(documents, times / documents, size=len(part)) @ rows
    return sums


def interval(samples: NDArray[np.float64], *, confidence: float = CONFIDENCE) -> list[float]:
    """Return the percentile interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Args:
        samples: `[resamples]`, the score of each resampled data set.
        confidence: the share of the samples between the two ends.

    Example:
        >>> interval(np.arange(101), confidence=0.5)
        [25.0, 75.0]
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return [float(low), float(high)]
