"""Ranking scores: how well the scores of labels rank documents."""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

_CITATION = """\
@article{fawcett-2006,
    title = "An introduction to {ROC} analysis", author = "Fawcett, Tom",
    journal = "Pattern Recognition Letters", volume = 27, year = "2006",
}"""

_ROUNDING = 0.01
"""The maximum deviation from 1 of the sum of rounded probabilities."""


class LabelRanking(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """ROC-AUC and average precision of each label against all others, and the Brier score over all labels.

    Works offline, with scikit-learn. The overall scores are means over the labels that some but not all documents have.
    `brier` is that of Brier (1950): the sum over labels of `(probability - is gold)²`, from 0 to 2, averaged over
    documents. A gold label that the model does not have has a probability of 0.

    These scores require the score of every label for every document, from a task with `top_k: null`; otherwise they are
    null.

    Example:
        >>> spam = [{"label": "spam", "score": 0.8}, {"label": "ham", "score": 0.2}]
        >>> ham = [{"label": "ham", "score": 0.7}, {"label": "spam", "score": 0.3}]
        >>> scores = LabelRanking().compute(predictions=[spam, ham], references=["spam", "ham"])
        >>> scores["roc_auc"], scores["average_precision"], round(scores["brier"], 2)
        (1.0, 1.0, 0.13)
    """

    def _info(self) -> evaluate.MetricInfo:
        category = {"label": datasets.Value("string"), "score": datasets.Value("float64")}
        return evaluate.MetricInfo(
            description="ROC-AUC, average precision and Brier score of one category per document.",
            citation=_CITATION,
            inputs_description="For each document the score of every label, and its gold label.",
            features=datasets.Features({"predictions": [category], "references": datasets.Value("string")}),
        )

    def _compute(self, *, predictions: Sequence[Sequence[dict[str, Any]]], references: Sequence[str]) -> dict[str, Any]:
        named = [{one["label"]: one["score"] for one in scores} for scores in predictions]
        known = set().union(*named)
        labels = sorted(known.union(references))
        sums_to_1 = not known.issuperset(references)  # a gold label without scores is unknown to the model, or omitted
        if not known or not all(_is_complete(scores, len(known), sums_to_1=sums_to_1) for scores in named):
            return {"roc_auc": None, "average_precision": None, "brier": None, "per_label": {}}
        scores = np.array([[one.get(label, 0.0) for label in labels] for one in named])
        gold = np.array(references)[:, None] == np.array(labels)
        per_label = {
            label: _rank(gold[:, index], scores[:, index])
            for index, label in enumerate(labels)
            if 0 < gold[:, index].sum() < len(gold)
        }
        means = {
            name: fsum(one[name] for one in per_label.values()) / len(per_label) if per_label else None
            for name in ("roc_auc", "average_precision")
        }
        return {**means, "brier": fsum(((scores - gold) ** 2).ravel()) / len(gold), "per_label": per_label}


def _rank(gold: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, float]:
    return {
        "roc_auc": float(roc_auc_score(gold, scores)),
        "average_precision": float(average_precision_score(gold, scores)),
    }


def _is_complete(scores: Mapping[str, float | None], labels: int, *, sums_to_1: bool) -> bool:
    """Return whether there is a score for each label; with `sums_to_1`, also whether the scores sum to 1."""
    numbers = [score for score in scores.values() if score is not None]
    return len(numbers) == labels and (not sums_to_1 or abs(fsum(numbers) - 1) < _ROUNDING)
