"""Scores of paths in a hierarchy of labels."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from nlp_inference.tasks.hierarchical_classification import ancestors
from nlp_training.metrics.bootstrap import RESAMPLES, interval, resampled_totals
from nlp_training.metrics.categories import CategoryAccuracy
from nlp_training.metrics.counts import fractions, tabulate

_CITATION = """\
@inproceedings{kiritchenko-etal-2006,
    title = "Learning and Evaluation in the Presence of Class Hierarchies: Application to Text Categorization",
    author = "Kiritchenko, Svetlana and Matwin, Stan and Nock, Richard and Famili, A. Fazel",
    year = "2006", url = "https://doi.org/10.1007/11766247_34",
}"""


class PathF1(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Accuracy of complete paths, hierarchical precision, recall and F1, and the accuracy at each level.

    Works offline. Hierarchical scores count the nodes that the predicted and the gold path have in common (Kiritchenko
    et al., 2006), so that a path that is wrong only at its end is not entirely wrong. `level_1_accuracy` is the share
    of documents whose first name is right, `level_2_accuracy` that of the documents with at least two names in gold
    whose first two are right, and so on. An empty string stands for "no path". `interval` contains the 95 % intervals
    of a bootstrap over documents; `resamples=0` omits them.

    Example:
        >>> scores = PathF1().compute(predictions=["a/b", "c"], references=["a/x", "c/d"])
        >>> scores["accuracy"], scores["hierarchical_f1"].__round__(3), scores["level_1_accuracy"]
        (0.0, 0.571, 1.0)
    """

    def _info(self) -> evaluate.MetricInfo:
        path = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Scores of paths in a hierarchy of labels.",
            citation=_CITATION,
            inputs_description="For each document the predicted and the gold path.",
            features=datasets.Features({"predictions": path, "references": path}),
        )

    def _compute(
        self, *, predictions: Sequence[str], references: Sequence[str], resamples: int = RESAMPLES
    ) -> dict[str, Any]:
        exact: dict[str, Any] = CategoryAccuracy().compute(
            predictions=predictions, references=references, resamples=resamples
        )
        pairs = [(_nodes(found), _nodes(gold)) for found, gold in zip(predictions, references, strict=True)]
        table = tabulate({"node": (len(found & gold), len(found), len(gold))} for found, gold in pairs)
        nodes = {f"hierarchical_{name}": float(values[0]) for name, values in fractions(table.totals()).items()}
        scores = {**exact, **nodes, **_level_accuracies(predictions, references)}
        if len(references) and resamples:
            drawn = fractions(resampled_totals(table, resamples=resamples))["f1"][:, 0]
            scores["interval"] = {**exact["interval"], "hierarchical_f1": interval(drawn)}
        return scores


def _nodes(path: str) -> set[str]:
    return set(ancestors(path)) if path else set()


def _level_accuracies(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    right: dict[int, list[bool]] = {}
    for found, gold in zip(predictions, references, strict=True):
        nodes = _nodes(found)
        for level, node in enumerate(ancestors(gold) if gold else (), 1):
            right.setdefault(level, []).append(node in nodes)
    return {f"level_{level}_accuracy": float(np.mean(of_level)) for level, of_level in sorted(right.items())}
