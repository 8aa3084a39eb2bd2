"""Scores of one of several ordered labels per document."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray

from nlp_training.metrics.bootstrap import RESAMPLES, interval, resampled_sums
from nlp_training.metrics.categories import CategoryAccuracy
from nlp_training.metrics.paired import RESAMPLES as PAIRED_RESAMPLES
from nlp_training.metrics.paired import paired_test

_Floats = NDArray[np.float64]

_CITATION = """\
@article{cohen-1968,
    title = "Weighted Kappa: Nominal Scale Agreement Provision for Scaled Disagreement or Partial Credit",
    author = "Cohen, Jacob", journal = "Psychological Bulletin", volume = 70, year = "1968",
    url = "https://doi.org/10.1037/h0026256",
}"""


def rank_feature() -> dict[str, Any]:
    """Return what `datasets` stores of the rank of a document; the rank -1 is unknown."""
    return {"label": datasets.Value("string"), "rank": datasets.Value("int32")}


class RankErrors(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Quadratic weighted kappa and mean absolute error of ranks, accuracy, and F1 of each label.

    Works offline. Kappa with quadratic weights (Cohen, 1968) is 1 for complete agreement and 0 for that of chance; it
    is 1 if all ranks are equal. Documents whose predicted or gold rank is -1 (nothing predicted, or a label that the
    task does not know) count as wrong in accuracy and F1, and are left out of kappa and of the error. `interval`
    contains the 95 % intervals of a bootstrap over documents; `resamples=0` omits them.

    Example:
        >>> ranks = [{"label": str(rank), "rank": rank} for rank in (0, 1, 2, 3)]
        >>> scores = RankErrors().compute(predictions=ranks, references=[*ranks[:3], ranks[2]])
        >>> round(scores["quadratic_kappa"], 3), scores["rank_mae"], scores["accuracy"]
        (0.875, 0.25, 0.75)
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Quadratic weighted kappa and mean absolute error of ranks.",
            citation=_CITATION,
            inputs_description="For each document the predicted and the gold label and their ranks, from 0.",
            features=datasets.Features({"predictions": rank_feature(), "references": rank_feature()}),
        )

    def _compute(
        self,
        *,
        predictions: Sequence[Mapping[str, Any]],
        references: Sequence[Mapping[str, Any]],
        resamples: int = RESAMPLES,
    ) -> dict[str, Any]:
        exact: dict[str, Any] = CategoryAccuracy().compute(
            predictions=[one["label"] for one in predictions],
            references=[one["label"] for one in references],
            resamples=resamples,
        )
        rows, times = _moments(predictions, references)
        scores = {**exact, **{name: float(values[0]) for name, values in _scores((times @ rows)[None]).items()}}
        if len(references) and resamples:
            drawn = _scores(resampled_sums(rows, times, resamples=resamples))
            scores["interval"] = {**exact["interval"], **{name: interval(values) for name, values in drawn.items()}}
        return scores


class RankBootstrap(evaluate.Comparison):  # type: ignore[misc]  # evaluate is not typed
    """Paired bootstrap test of the mean absolute error of ranks of two models (Berg-Kirkpatrick et al., 2012).

    Works offline; see `PairedBootstrap` for what `p_value` and `interval` are. A negative `difference` says that the
    second model has the smaller error. Only documents for which both models have a rank are compared.

    Example:
        >>> gold = [{"label": "a", "rank": 0}] * 8
        >>> found = RankBootstrap().compute(
        ...     predictions1=[{"label": "b", "rank": 1}] * 8, predictions2=gold, references=gold, resamples=999)
        >>> found["first"], found["second"], found["difference"], found["p_value"]
        (1.0, 0.0, -1.0, 0.001)
    """

    def _info(self) -> evaluate.ComparisonInfo:
        names = ("predictions1", "predictions2", "references")
        return evaluate.ComparisonInfo(
            description="Paired bootstrap test of the mean absolute error of ranks.",
            citation="https://aclanthology.org/D12-1091/",
            inputs_description="For each document the rank of each model and the gold rank.",
            features=datasets.Features({name: rank_feature() for name in names}),
        )

    def _compute(
        self,
        *,
        predictions1: Sequence[Mapping[str, Any]],
        predictions2: Sequence[Mapping[str, Any]],
        references: Sequence[Mapping[str, Any]],
        resamples: int = PAIRED_RESAMPLES,
        seed: int = 0,
    ) -> dict[str, Any]:
        rows = [
            (abs(one["rank"] - gold["rank"]), abs(other["rank"] - gold["rank"]), 1)
            for one, other, gold in zip(predictions1, predictions2, references, strict=True)
            if min(one["rank"], other["rank"], gold["rank"]) >= 0
        ]
        kinds, times = np.unique(np.array(rows, dtype=np.float64).reshape(-1, 3), axis=0, return_counts=True)
        first, second, size = times @ kinds if rows else (0.0, 0.0, 1.0)
        drawn = resampled_sums(kinds, times, resamples=resamples, seed=seed) if rows else np.ones((1, 3))
        differences = (drawn[:, 1] - drawn[:, 0]) / drawn[:, 2]
        errors = float(first / size), float(second / size)
        return paired_test("rank_mae", *errors, differences, documents=len(rows))


def _moments(
    predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]
) -> tuple[_Floats, NDArray[np.int64]]:
    """Return `[kinds, 7]` and `[kinds]`: the numbers of a document, whose sums give all scores, and how often each is.

    The columns are 1, predicted p, gold g, p², g², (p - g)² and |p - g|, all 0 where a rank is unknown.
    """
    pairs = np.array(
        [(one["rank"], gold["rank"]) for one, gold in zip(predictions, references, strict=True)], dtype=np.float64
    ).reshape(-1, 2)
    kinds, times = np.unique(pairs, axis=0, return_counts=True)
    found, gold = kinds.T
    known: NDArray[np.bool_] = np.all(kinds >= 0, axis=1)
    columns = (np.ones_like(found), found, gold, found**2, gold**2, (found - gold) ** 2, np.abs(found - gold))
    return np.stack(columns, axis=1) * known[:, None], times


def _scores(sums: _Floats) -> dict[str, _Floats]:
    """Return `[resamples]` each: kappa and error from `[resamples, 7]`, the sums of `_moments`.

    The sum of the squared distances of all pairs of a prediction and a gold rank, which is what chance gives, is
    `n (Σp² + Σg²) - 2 Σp Σg`.
    """
    size, found, gold, found_2, gold_2, squares, absolute = sums.T
    chance = size * (found_2 + gold_2) - 2 * found * gold
    kappa = 1 - np.divide(size * squares, chance, out=np.zeros_like(chance), where=chance > 0)
    error = np.divide(absolute, size, out=np.zeros_like(size), where=size > 0)
    return {"quadratic_kappa": kappa, "rank_mae": error}
