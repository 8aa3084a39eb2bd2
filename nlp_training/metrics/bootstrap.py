"""How far a score would move with other documents: resampling them, from their counts alone."""

import numpy as np
from numpy.typing import NDArray

from nlp_training.metrics.counts import CountTable

RESAMPLES = 1000
"""How many data sets are drawn for an interval."""

CONFIDENCE = 0.95

_CELLS = 4_000_000
"""How many numbers are drawn at once, so that memory is bounded."""


def resampled_totals(table: CountTable, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """The totals of data sets that are drawn from the documents with replacement, each as large as all of them.

    Documents of like counts are drawn together, from the multinomial distribution: the same as one after the other.
    The order of the documents does not matter.

    Args:
        table: the counts of the documents.
        resamples: how many data sets to draw.
        seed: the same seed draws the same.

    Returns:
        `[resamples, labels, 3]`: right, found and gold of each label.

    Example:
        >>> from nlp_training.metrics.counts import tabulate
        >>> table = tabulate([{"A": (1, 1, 1)}] * 5)
        >>> resampled_totals(table, resamples=2).tolist()
        [[[5.0, 5.0, 5.0]], [[5.0, 5.0, 5.0]]]
    """
    documents = int(table.times.sum())
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS // len(table.times))
    totals = np.empty((resamples, table.counts.shape[1]))
    for start in range(0, resamples, at_once):
        part = totals[start : start + at_once]
        part[:] = random.multinomial(documents, table.times / documents, size=len(part)) @ table.counts
    return totals.reshape(resamples, len(table.labels), 3)


def interval(samples: NDArray[np.float64], *, confidence: float = CONFIDENCE) -> list[float]:
    """The percentile interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Args:
        samples: `[resamples]`, the score of each data set that was drawn.
        confidence: share of the samples that lie between the two ends.

    Example:
        >>> interval(np.arange(101), confidence=0.5)
        [25.0, 75.0]
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return [float(low), float(high)]
