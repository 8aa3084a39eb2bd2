"""Scores of one category per document."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from nlp_training.metrics.bootstrap import RESAMPLES, interval, resampled_totals
from nlp_training.metrics.counts import CountTable, LabelCounts, as_floats, averages, fractions, tabulate
from nlp_training.metrics.spans import per_label


class CategoryAccuracy(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Accuracy, and precision, recall and F1 of each label with their averages over the labels that occur.

    Works offline. An empty string means "no category". `interval` contains the 95 % intervals of a bootstrap over
    documents; `resamples=0` omits them.

    Example:
        >>> scores = CategoryAccuracy().compute(predictions=["spam", "ham"], references=["spam", "spam"])
        >>> scores["accuracy"], round(scores["macro_f1"], 3)
        (0.5, 0.333)
    """

    def _info(self) -> evaluate.MetricInfo:
        label = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Accuracy and averages of F1 of one category per document.",
            citation="",
            inputs_description="For each document the predicted and the gold label.",
            features=datasets.Features({"predictions": label, "references": label}),
        )

    def _compute(
        self, *, predictions: Sequence[str], references: Sequence[str], resamples: int = RESAMPLES
    ) -> dict[str, Any]:
        table = tabulate(_count(found, gold) for found, gold in zip(predictions, references, strict=True))
        documents, totals, named = len(references), table.totals(), _named(table)
        mean = as_floats(averages(totals[named]))
        scores = {
            "accuracy": float(totals[:, 0].sum()) / documents if documents else 0.0,
            "macro_f1": mean["macro"]["f1"],
            "support": documents,
            "averages": mean,
            "per_label": {label: one for label, one in per_label(table).items() if label},
        }
        if documents and resamples:
            drawn = resampled_totals(table, resamples=resamples)
            scores["interval"] = {
                "accuracy": interval(drawn[..., 0].sum(axis=-1) / documents),
                "macro_f1": interval(averages(drawn[:, named])["macro"]["f1"]),
            }
            of_labels = fractions(drawn)["f1"]
            for index in named:
                scores["per_label"][table.labels[index]]["interval"] = interval(of_labels[:, index])
        return scores


def _count(found: str, gold: str) -> LabelCounts:
    if found == gold:
        return {gold: (1, 1, 1)}
    return {found: (0, 1, 0), gold: (0, 0, 1)}


def _named(table: CountTable) -> list[int]:
    """Return the indices of the labels, except that of "no category"."""
    return np.flatnonzero([label != "" for label in table.labels]).tolist()
