"""Scores from counts: by label, over all labels, and their averages."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

LabelCounts = Mapping[str, tuple[int, int, int]]
"""The counts of a document by label: correct (found and gold), found, gold."""


class CountTable(NamedTuple):
    """The counts of many documents, grouped by equal counts.

    Attributes:
        labels: the labels, sorted.
        counts: `[groups, labels * 3]`, sparse: correct, found and gold of each label, for each group of documents.
        times: `[groups]`, the number of documents in each group.
    """

    labels: tuple[str, ...]
    counts: csr_array
    times: NDArray[np.int64]

    def totals(self) -> NDArray[np.float64]:
        """Return correct, found and gold of each label, `[labels, 3]`."""
        totals: NDArray[np.float64] = (self.times @ self.counts).reshape(len(self.labels), 3)
        return totals


def tabulate(documents: Iterable[LabelCounts]) -> CountTable:
    """Combine the counts of documents into one table. The order of the documents does not matter.

    Example:
        >>> table = tabulate([{"A": (1, 1, 1)}, {"A": (0, 1, 0), "B": (0, 0, 1)}, {"A": (1, 1, 1)}])
        >>> table.labels, table.times.tolist(), table.totals().tolist()
        (('A', 'B'), [1, 2], [[2.0, 3.0, 2.0], [0.0, 0.0, 1.0]])
    """
    kinds = sorted(Counter(tuple(sorted(counts.items())) for counts in documents).items())
    labels = tuple(sorted({label for kind, _ in kinds for label, _ in kind}))
    column = {label: 3 * index for index, label in enumerate(labels)}
    values: list[int] = []
    columns: list[int] = []
    ends = [0]
    for kind, _ in kinds:
        for label, counts in kind:
            values += counts
            columns += range(column[label], column[label] + 3)
        ends.append(len(values))
    shape = (len(kinds), 3 * len(labels))
    table = csr_array((np.array(values, dtype=np.float64), np.array(columns, dtype=np.int64), ends), shape=shape)
    return CountTable(labels, table, np.array([times for _, times in kinds], dtype=np.int64))


def precision_recall_f1(right: float, found: int, gold: int) -> dict[str, float]:
    """Return precision, recall and F1 (van Rijsbergen, 1979); a score with nothing to count is 0.

    Args:
        right: the number of correct annotations; a partially correct one may count as a half.
        found: the number of found annotations.
        gold: the number of gold annotations.

    Example:
        >>> precision_recall_f1(1, 2, 1)
        {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666}
    """
    return {
        "precision": right / found if found else 0.0,
        "recall": right / gold if gold else 0.0,
        "f1": 2 * right / (found + gold) if found + gold else 0.0,
    }


def fractions(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Vectorized `precision_recall_f1`.

    Args:
        counts: `[..., 3]`, correct, found and gold.

    Returns:
        `[...]` each.
    """
    right, found, gold = counts[..., 0], counts[..., 1], counts[..., 2]
    return {
        "precision": _quotient(right, found),
        "recall": _quotient(right, gold),
        "f1": _quotient(2 * right, found + gold),
    }


def averages(counts: NDArray[np.float64]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return micro, macro and weighted averages of precision, recall and F1.

    `micro` sums the counts of all labels; `macro` is the mean over the labels that were found or are gold; `weighted`
    is the mean over labels, weighted by the number of gold annotations.

    Args:
        counts: `[..., labels, 3]`, correct, found and gold.

    Returns:
        `[...]` each.

    Example:
        >>> found = averages(np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]]))
        >>> {name: round(float(scores["recall"]), 3) for name, scores in found.items()}
        {'micro': 0.5, 'macro': 0.667, 'weighted': 0.5}
    """
    by_label = fractions(counts)
    gold = counts[..., 2]
    occurs = (counts[..., 1] + gold) > 0
    weights = {"macro": occurs.astype(np.float64), "weighted": gold}
    return {"micro": fractions(counts.sum(axis=-2))} | {
        name: {score: _quotient((values * weight).sum(-1), weight.sum(-1)) for score, values in by_label.items()}
        for name, weight in weights.items()
    }


def as_floats(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Convert 0-dimensional arrays to floats for JSON."""
    return {name: as_floats(one) if isinstance(one, Mapping) else float(one) for name, one in scores.items()}


def _quotient(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)
