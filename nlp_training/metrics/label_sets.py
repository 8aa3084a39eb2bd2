"""Scores of sets of labels, in which each label of a document is correct or not independently."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from nlp_training.metrics.bootstrap import RESAMPLES, interval, resampled_totals
from nlp_training.metrics.counts import as_floats, averages, fractions, tabulate
from nlp_training.metrics.paired import PairedBootstrap
from nlp_training.metrics.spans import SpanKey, count_spans, per_label


class LabelSetF1(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Micro and macro precision, recall and F1 of sets of labels, and the share of documents whose set is exact.

    Works offline. A score with nothing to count is 0; a document without labels counts as exact if none is predicted.
    `interval` contains the 95 % intervals of a bootstrap over documents; `resamples=0` omits them.

    Source: Tsoumakas and Katakis (2007), https://doi.org/10.4018/jdwm.2007070101

    Example:
        >>> scores = LabelSetF1().compute(predictions=[["a", "b"], []], references=[["a"], []])
        >>> round(scores["f1"], 3), scores["precision"], scores["recall"], scores["subset_accuracy"]
        (0.667, 0.5, 1.0, 0.5)
    """

    def _info(self) -> evaluate.MetricInfo:
        labels = [datasets.Value("string")]
        return evaluate.MetricInfo(
            description="Precision, recall and F1 of sets of labels.",
            citation="",
            inputs_description="For each document the list of predicted and the list of gold labels.",
            features=datasets.Features({"predictions": labels, "references": labels}),
        )

    def _compute(
        self, *, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], resamples: int = RESAMPLES
    ) -> dict[str, Any]:
        pairs = [(_keys(found), _keys(gold)) for found, gold in zip(predictions, references, strict=True)]
        table = tabulate(count_spans(found, gold) for found, gold in pairs)
        mean = as_floats(averages(table.totals()))
        scores = {
            "f1": mean["micro"]["f1"],
            **mean["micro"],
            "macro_f1": mean["macro"]["f1"],
            "weighted_f1": mean["weighted"]["f1"],
            "subset_accuracy": float(np.mean([found == gold for found, gold in pairs])) if pairs else 0.0,
            "support": int(table.totals()[:, 2].sum()),
            "averages": mean,
            "per_label": per_label(table),
        }
        if resamples and table.labels:
            totals = resampled_totals(table, resamples=resamples)
            drawn = averages(totals)
            scores["interval"] = {"f1": interval(drawn["micro"]["f1"]), "macro_f1": interval(drawn["macro"]["f1"])}
            for index, label in enumerate(table.labels):
                scores["per_label"][label]["interval"] = interval(fractions(totals)["f1"][:, index])
        return scores


class LabelSetBootstrap(PairedBootstrap):
    """Paired bootstrap test of the micro F1 of label sets of two models; see `PairedBootstrap`.

    Example:
        >>> gold = [["a"]] * 8
        >>> test = LabelSetBootstrap()
        >>> found = test.compute(predictions1=[[]] * 8, predictions2=gold, references=gold, resamples=999)
        >>> found["difference"], found["p_value"]
        (1.0, 0.001)
    """

    @staticmethod
    def feature() -> Any:
        """Return the `datasets` feature of a label."""
        return datasets.Value("string")

    @staticmethod
    def keys(annotations: Sequence[str]) -> set[SpanKey]:
        """Return the labels as spans of the complete document."""
        return _keys(annotations)


def _keys(labels: Sequence[str]) -> set[SpanKey]:
    """Return labels as spans of the complete document, so that they are counted like spans."""
    return {(0, 0, label) for label in labels}
