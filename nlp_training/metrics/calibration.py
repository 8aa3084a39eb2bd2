"""Calibration: whether the confidence of predictions matches their accuracy."""

from collections.abc import Sequence
from math import ceil, fsum
from typing import Any

import datasets
import evaluate

BINS = 15

_CITATION = """\
@inproceedings{guo-etal-2017,
    title = "On Calibration of Modern Neural Networks",
    author = "Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.",
    year = "2017", url = "https://proceedings.mlr.press/v70/guo17a.html",
}
@article{brier-1950,
    title = "Verification of forecasts expressed in terms of probability", author = "Brier, Glenn W.",
    journal = "Monthly Weather Review", volume = 78, year = "1950",
}"""

CALIBRATION_DETAILS = {"expected calibration error": ("calibration", "ece"), "Brier score": ("calibration", "brier")}
"""`DocumentMetric.details` of a `Calibration` under the key `calibration`."""


class Calibration(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Expected calibration error and Brier score of predictions.

    Works offline. A prediction (`answers` in the result) is a span, or the best category of a document; its confidence
    is its score. `ece` (Guo et al., 2017) puts predictions into 15 bins of equal width by confidence; it is the mean
    distance between the mean confidence and the accuracy of a bin, weighted by the number of its predictions. `brier`
    (Brier, 1950) is the mean of `(confidence - right)²`, where `right` is 1 for a correct prediction. Both are 0 at
    best. They do not cover missed gold, and are null without predictions.

    Example:
        >>> scores = Calibration().compute(predictions=[[0.9, 0.9], [0.6]], references=[[1, 1], [0]])
        >>> round(scores["ece"], 3), round(scores["brier"], 3), scores["answers"]
        (0.267, 0.127, 3)
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": [datasets.Value("float64")], "references": [datasets.Value("int8")]}
        return evaluate.MetricInfo(
            description="Expected calibration error and Brier score.",
            citation=_CITATION,
            inputs_description="For each document the confidences of its predictions, and for each 1 if correct, or 0.",
            features=datasets.Features(features),
        )

    def _compute(
        self, *, predictions: Sequence[Sequence[float]], references: Sequence[Sequence[int]]
    ) -> dict[str, Any]:
        confidences = [score for scores in predictions for score in scores]
        rights = [right for of_document in references for right in of_document]
        scored = list(zip(confidences, rights, strict=True))
        if not scored:
            return {"answers": 0, "ece": None, "brier": None, "bins": []}
        bins = _bins(scored)
        gaps = fsum(one["answers"] * abs(one["confidence"] - one["right"]) for one in bins)
        return {
            "answers": len(scored),
            "ece": gaps / len(scored),
            "brier": fsum((confidence - right) ** 2 for confidence, right in scored) / len(scored),
            "bins": bins,
        }


def _bins(scored: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    """Return number, mean confidence and accuracy of the predictions in each bin that is not empty."""
    members: dict[int, list[tuple[float, int]]] = {}
    for confidence, right in scored:
        number = min(
            BINS, max(1, ceil(confidence * BINS))
        )  # bins include their upper edge, the first also its lower one
        members.setdefault(number, []).append((confidence, right))
    return [
        {
            "from": (number - 1) / BINS,
            "to": number / BINS,
            "answers": len(inside),
            "confidence": fsum(confidence for confidence, _ in inside) / len(inside),
            "right": sum(right for _, right in inside) / len(inside),
        }
        for number, inside in sorted(members.items())
    ]
