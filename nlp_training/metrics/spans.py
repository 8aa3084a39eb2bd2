"""Exact span scores."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import datasets
import evaluate

from nlp_training.metrics.counts import precision_recall_f1

_CITATION = """\
@inproceedings{tjong-kim-sang-de-meulder-2003,
    title = "Introduction to the {C}o{NLL}-2003 Shared Task: Language-Independent Named Entity Recognition",
    author = "Tjong Kim Sang, Erik F. and De Meulder, Fien",
    year = "2003", url = "https://aclanthology.org/W03-0419/",
}"""


class SpanF1(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Precision, recall and F1 of exact spans: start, end and label must all be right (CoNLL-2003).

    Works offline. Overall scores are micro averages; a score with nothing to count is 0.

    Example:
        >>> metric = SpanF1()
        >>> gold = [[{"start": 0, "end": 3, "label": "PERSON"}, {"start": 13, "end": 17, "label": "CITY"}]]
        >>> found = [[{"start": 0, "end": 3, "label": "PERSON"}]]
        >>> scores = metric.compute(predictions=found, references=gold)
        >>> scores["precision"], scores["recall"], round(scores["f1"], 3), scores["per_label"]["CITY"]["support"]
        (1.0, 0.5, 0.667, 1)
    """

    def _info(self) -> evaluate.MetricInfo:
        span = {"start": datasets.Value("int64"), "end": datasets.Value("int64"), "label": datasets.Value("string")}
        return evaluate.MetricInfo(
            description="Precision, recall and F1 of exact spans.",
            citation=_CITATION,
            inputs_description="For each document a list of spans with start, end and label.",
            features=datasets.Features({"predictions": [span], "references": [span]}),
        )

    def _compute(
        self, *, predictions: Sequence[Sequence[dict[str, Any]]], references: Sequence[Sequence[dict[str, Any]]]
    ) -> dict[str, Any]:
        found, gold, right = Counter[str](), Counter[str](), Counter[str]()
        for predicted, reference in zip(predictions, references, strict=True):
            predicted_spans, reference_spans = _keys(predicted), _keys(reference)
            found.update(label for *_, label in predicted_spans)
            gold.update(label for *_, label in reference_spans)
            right.update(label for *_, label in predicted_spans & reference_spans)
        per_label = {
            label: {**precision_recall_f1(right[label], found[label], gold[label]), "support": gold[label]}
            for label in sorted(found | gold)
        }
        macro = sum(scores["f1"] for scores in per_label.values()) / max(1, len(per_label))
        overall = precision_recall_f1(right.total(), found.total(), gold.total())
        return {**overall, "macro_f1": macro, "support": gold.total(), "per_label": per_label}


def _keys(spans: Iterable[dict[str, Any]]) -> set[tuple[int, int, str]]:
    return {(span["start"], span["end"], span["label"]) for span in spans}
