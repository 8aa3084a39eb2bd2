"""Exact span scores."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import datasets
import evaluate

from nlp_training.metrics.bootstrap import RESAMPLES, interval, resampled_totals
from nlp_training.metrics.counts import CountTable, LabelCounts, as_floats, averages, fractions, tabulate

_CITATION = """\
@inproceedings{tjong-kim-sang-de-meulder-2003,
    title = "Introduction to the {C}o{NLL}-2003 Shared Task: Language-Independent Named Entity Recognition",
    author = "Tjong Kim Sang, Erik F. and De Meulder, Fien",
    year = "2003", url = "https://aclanthology.org/W03-0419/",
}"""

SpanKey = tuple[int, int, str]
"""Start, end and label."""


class SpanF1(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Precision, recall and F1 of exact spans: start, end and label must be correct (CoNLL-2003).

    A subclass that compares other annotations than spans overrides `feature` and `keys`.

    Works offline. Overall scores are micro averages; a score with nothing to count is 0. `interval` contains the 95 %
    intervals of a bootstrap over documents; `resamples=0` omits them.

    Example:
        >>> metric = SpanF1()
        >>> gold = [[{"start": 0, "end": 3, "label": "PERSON"}, {"start": 13, "end": 17, "label": "CITY"}]]
        >>> found = [[{"start": 0, "end": 3, "label": "PERSON"}]]
        >>> scores = metric.compute(predictions=found, references=gold)
        >>> scores["precision"], scores["recall"], round(scores["f1"], 3), scores["per_label"]["CITY"]["support"]
        (1.0, 0.5, 0.667, 1)
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Precision, recall and F1 of exact spans.",
            citation=_CITATION,
            inputs_description="For each document a list of spans with start, end and label.",
            features=datasets.Features({"predictions": [self.feature()], "references": [self.feature()]}),
        )

    @staticmethod
    def feature() -> Any:
        """Return the `datasets` feature of an annotation."""
        return span_feature()

    @staticmethod
    def keys(annotations: Iterable[Any]) -> set[Any]:
        """Return the keys by which annotations of a document are compared; the last part of each is the label."""
        return span_keys(annotations)

    def _compute(
        self,
        *,
        predictions: Sequence[Sequence[dict[str, Any]]],
        references: Sequence[Sequence[dict[str, Any]]],
        resamples: int = RESAMPLES,
    ) -> dict[str, Any]:
        pairs = zip(predictions, references, strict=True)
        table = tabulate(count_spans(self.keys(found), self.keys(gold)) for found, gold in pairs)
        mean = as_floats(averages(table.totals()))
        scores = {
            "f1": mean["micro"]["f1"],
            **mean["micro"],
            "macro_f1": mean["macro"]["f1"],
            "support": int(table.totals()[:, 2].sum()),
            "averages": mean,
            "per_label": per_label(table),
        }
        return scores | (_intervals(table, scores, resamples) if resamples else {})


def span_feature() -> dict[str, Any]:
    """Return the `datasets` feature of a span."""
    return {"start": datasets.Value("int64"), "end": datasets.Value("int64"), "label": datasets.Value("string")}


def span_keys(spans: Iterable[dict[str, Any]]) -> set[SpanKey]:
    """Return the keys by which spans are compared."""
    return {(span["start"], span["end"], span["label"]) for span in spans}


def count_spans(found: set[Any], gold: set[Any]) -> LabelCounts:
    """Count the correct, found and gold annotations of a document by label, the last part of their keys.

    Example:
        >>> count_spans({(0, 3, "A"), (5, 7, "B")}, {(0, 3, "A"), (5, 8, "B")})
        {'A': (1, 1, 1), 'B': (0, 1, 1)}
    """
    right, all_found, all_gold = (Counter(label for *_, label in spans) for spans in (found & gold, found, gold))
    return {label: (right[label], all_found[label], all_gold[label]) for label in sorted(all_found | all_gold)}


def per_label(table: CountTable) -> dict[str, dict[str, Any]]:
    """Return precision, recall, F1 and support of each label."""
    totals = table.totals()
    scores = fractions(totals)
    return {
        label: {**{name: float(values[index]) for name, values in scores.items()}, "support": int(totals[index, 2])}
        for index, label in enumerate(table.labels)
    }


def _intervals(table: CountTable, scores: dict[str, Any], resamples: int) -> dict[str, Any]:
    totals = resampled_totals(table, resamples=resamples)
    of_labels = fractions(totals)["f1"]
    mean = averages(totals)
    for index, label in enumerate(table.labels):
        scores["per_label"][label]["interval"] = interval(of_labels[:, index])
    return {
        "interval": {
            **{name: interval(one) for name, one in mean["micro"].items()},
            "macro_f1": interval(mean["macro"]["f1"]),
        }
    }
