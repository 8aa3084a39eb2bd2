"""How well the scores of all labels rank documents, and the labels of a document, where a document has several."""

from collections.abc import Sequence
from math import fsum
from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

_CITATION = """\
@incollection{tsoumakas-2010,
    title = "Mining Multi-label Data", author = "Tsoumakas, Grigorios and Katakis, Ioannis and Vlahavas, Ioannis",
    booktitle = "Data Mining and Knowledge Discovery Handbook", year = "2010",
    url = "https://doi.org/10.1007/978-0-387-09823-4_34",
}"""


class LabelSetRanking(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Micro and macro average precision and label ranking average precision (LRAP): scores that need no threshold.

    Works offline, with scikit-learn. `micro_average_precision` is the average precision of all pairs of a document and
    a label, ranked by their score. `macro_average_precision` is the mean over the labels that some document has: of
    the average precision of all documents, ranked by their score for the label. `lrap` is the mean over documents of
    the share of gold labels among the labels ranked down to each gold label; 1 for a document without labels, as in
    scikit-learn; it compares no document with another. All are from 0 to 1, greater is better. A gold label that the
    model does not know has a score of 0.

    They need the score of every label for every document (`Annotation.label_scores`); without they are null.

    Source: Tsoumakas, Katakis and Vlahavas (2010), https://doi.org/10.1007/978-0-387-09823-4_34

    Example:
        >>> one = [{"label": "joy", "score": 0.8}, {"label": "fear", "score": 0.1}]
        >>> two = [{"label": "joy", "score": 0.6}, {"label": "fear", "score": 0.3}]
        >>> scores = LabelSetRanking().compute(predictions=[one, two], references=[["joy"], ["fear"]])
        >>> {name: round(score, 2) for name, score in scores.items()}
        {'micro_average_precision': 0.83, 'macro_average_precision': 1.0, 'lrap': 0.75}
    """

    def _info(self) -> evaluate.MetricInfo:
        scored = {"label": datasets.Value("string"), "score": datasets.Value("float64")}
        return evaluate.MetricInfo(
            description="Micro and macro average precision and label ranking average precision.",
            citation=_CITATION,
            inputs_description="For each document the score of every label, and the list of its gold labels.",
            features=datasets.Features({"predictions": [scored], "references": [datasets.Value("string")]}),
        )

    def _compute(
        self, *, predictions: Sequence[Sequence[dict[str, Any]]], references: Sequence[Sequence[str]]
    ) -> dict[str, Any]:
        named = [{one["label"]: one["score"] for one in scores} for scores in predictions]
        known = set().union(*named)
        labels = sorted(known.union(*references))
        if not known or any(len(one) != len(known) for one in named):
            return dict.fromkeys(("micro_average_precision", "macro_average_precision", "lrap"))
        scores = np.array([[one.get(label, 0.0) for label in labels] for one in named])
        gold = np.array([[label in wanted for label in labels] for wanted in map(set, references)])
        found = np.flatnonzero(gold.any(axis=0)).tolist()
        precisions = [float(average_precision_score(gold[:, index], scores[:, index])) for index in found]
        return {
            "micro_average_precision": float(average_precision_score(gold.ravel(), scores.ravel())) if found else 0.0,
            "macro_average_precision": fsum(precisions) / len(precisions) if precisions else 0.0,
            "lrap": float(label_ranking_average_precision_score(gold, scores)),
        }
