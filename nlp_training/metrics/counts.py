"""From counts to scores: of one label, of all labels together, and their averages."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

LabelCounts = Mapping[str, tuple[int, int, int]]
"""Of one document, for each label: how many were found and are gold, were found, are gold."""


class CountTable(NamedTuple):
    """The counts of many documents, those of like counts together.

    Attributes:
        labels: the labels, sorted.
        counts: `[kinds, labels * 3]`, sparse: right, found and gold of each label, for each kind of document.
        times: `[kinds]`, how many documents are of the kind.
    """

    labels: tuple[str, ...]
    counts: csr_array
    times: NDArray[np.int64]

    def totals(self) -> NDArray[np.float64]:
        """`[labels, 3]`: right, found and gold of each label."""
        totals: NDArray[np.float64] = (self.times @ self.counts).reshape(len(self.labels), 3)
        return totals


def tabulate(documents: Iterable[LabelCounts]) -> CountTable:
    """Put the counts of documents into one table; the order of the documents does not matter.

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
    """Precision, recall and F1 (van Rijsbergen, 1979); a score with nothing to count is 0.

    Args:
        right: how many were found and are gold; half of one that is half right.
        found: how many were found.
        gold: how many are gold.

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
    """`precision_recall_f1` of many counts at once.

    Args:
        counts: `[..., 3]`, right, found and gold.

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
    """Micro, macro and weighted averages of precision, recall and F1.

    `micro` adds up the counts of all labels; `macro` is the mean over the labels that were found or are gold;
    `weighted` is the mean over labels, each weighted by how many are gold.

    Args:
        counts: `[..., labels, 3]`, right, found and gold.

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
    """Arrays without axes as numbers that JSON can hold."""
    return {name: as_floats(one) if isinstance(one, Mapping) else float(one) for name, one in scores.items()}


def _quotient(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)
