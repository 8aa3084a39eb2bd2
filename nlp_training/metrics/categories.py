"""Scores of one category a document."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from nlp_training.metrics.counts import precision_recall_f1


class CategoryAccuracy(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Accuracy, and precision, recall and F1 of each label with their macro average over the labels that occur.

    Works offline. An empty string stands for "no category".

    Example:
        >>> scores = CategoryAccuracy().compute(predictions=["spam", "ham"], references=["spam", "spam"])
        >>> scores["accuracy"], round(scores["macro_f1"], 3)
        (0.5, 0.333)
    """

    def _info(self) -> evaluate.MetricInfo:
        label = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Accuracy and macro F1 of one category a document.",
            citation="",
            inputs_description="For each document the predicted and the gold label.",
            features=datasets.Features({"predictions": label, "references": label}),
        )

    def _compute(self, *, predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        found, gold = Counter(predictions), Counter(references)
        right = Counter(label for label, other in zip(predictions, references, strict=True) if label == other)
        labels = sorted(label for label in found | gold if label)
        per_label = {
            label: {**precision_recall_f1(right[label], found[label], gold[label]), "support": gold[label]}
            for label in labels
        }
        return {
            "accuracy": right.total() / max(1, len(references)),
            "macro_f1": sum(scores["f1"] for scores in per_label.values()) / max(1, len(per_label)),
            "support": len(references),
            "per_label": per_label,
        }
