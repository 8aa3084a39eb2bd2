"""Scores of predicted numbers, in the units of the gold."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray

from nlp_training.metrics.bootstrap import RESAMPLES, interval
from nlp_training.metrics.paired import RESAMPLES as PAIRED_RESAMPLES
from nlp_training.metrics.paired import paired_test

_Floats = NDArray[np.float64]

_CELLS = 1_000_000
"""How many numbers are drawn at once, so that memory is bounded."""

SCORES = ("mae", "rmse", "r2", "pearson", "spearman")
"""The scores of each value, and of all values as their mean."""

_CITATION = """\
@article{spearman-1904,
    title = "The Proof and Measurement of Association between Two Things", author = "Spearman, Charles",
    journal = "The American Journal of Psychology", volume = 15, year = "1904", url = "https://doi.org/10.2307/1412159",
}"""


def value_feature() -> list[Any]:
    """Return what `datasets` stores of the values of a document."""
    return [{"name": datasets.Value("string"), "value": datasets.Value("float64")}]


class ValueErrors(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Mean absolute error, root mean squared error, R², Pearson and Spearman correlation of predicted numbers.

    Works offline. Each value is scored over the documents whose gold has it, in the units of the gold; the overall
    scores are the means over the values. R² is the coefficient of determination, and equal numbers have their mean
    rank (Spearman, 1904). If all gold numbers of a value are equal, R² and the correlations are undefined: they are
    null, and the means leave them out. If only the predictions are equal, the correlations are 0. A gold value without
    a prediction is not scored and counts as `missing`. `interval` holds the 95 % intervals of a bootstrap over
    documents; `resamples=0` leaves them out.

    Example:
        >>> scores = ValueErrors().compute(
        ...     predictions=[[{"name": "score", "value": value}] for value in (1.0, 3.0)],
        ...     references=[[{"name": "score", "value": value}] for value in (1.0, 5.0)],
        ... )
        >>> scores["mae"], round(scores["rmse"], 3), scores["r2"], scores["per_value"]["score"]["support"]
        (1.0, 1.414, 0.5, 2)
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Errors and correlations of numbers.",
            citation=_CITATION,
            inputs_description="For each document the predicted and the gold numbers by name.",
            features=datasets.Features({"predictions": value_feature(), "references": value_feature()}),
        )

    def _compute(
        self,
        *,
        predictions: Sequence[Sequence[Mapping[str, Any]]],
        references: Sequence[Sequence[Mapping[str, Any]]],
        resamples: int = RESAMPLES,
    ) -> dict[str, Any]:
        table = tabulate_values(predictions, references)
        once = np.ones((1, table.documents))
        found = {name: {score: float(of[0]) for score, of in _scores(one, once).items()} for name, one in table.by_name}
        per_value: dict[str, dict[str, Any]] = {
            name: {**_known(found.get(name, {})), "support": table.scored(name), "missing": missing}
            for name, missing in sorted(table.missing.items())
        }
        scores = {
            **{score: value for score, value in _known(_means(found)).items() if value is not None},
            "support": sum(one["support"] for one in per_value.values()),
            "per_value": per_value,
            "per_label": {},
        }
        if resamples and table.documents and found:
            _add_intervals(scores, table, resamples=resamples)
        return scores


class ValuesBootstrap(evaluate.Comparison):  # type: ignore[misc]  # evaluate is not typed
    """Paired bootstrap test of the mean absolute error of two models (Berg-Kirkpatrick et al., 2012).

    Works offline; see `PairedBootstrap` for what `p_value` and `interval` are. A negative `difference` says that the
    second model has the smaller error.

    Example:
        >>> def values(*numbers):
        ...     return [[{"name": "score", "value": float(number)}] for number in numbers]
        >>> first, gold = values(*range(1, 9)), values(*range(8))
        >>> found = ValuesBootstrap().compute(predictions1=first, predictions2=gold, references=gold, resamples=999)
        >>> found["first"], found["second"], found["difference"], found["interval"], found["p_value"]
        (1.0, 0.0, -1.0, [-1.0, -1.0], 0.001)
    """

    def _info(self) -> evaluate.ComparisonInfo:
        names = ("predictions1", "predictions2", "references")
        return evaluate.ComparisonInfo(
            description="Paired bootstrap test of the mean absolute error.",
            citation="https://aclanthology.org/D12-1091/",
            inputs_description="For each document the numbers of each model and the gold numbers, by name.",
            features=datasets.Features({name: value_feature() for name in names}),
        )

    def _compute(
        self,
        *,
        predictions1: Sequence[Sequence[Mapping[str, Any]]],
        predictions2: Sequence[Sequence[Mapping[str, Any]]],
        references: Sequence[Sequence[Mapping[str, Any]]],
        resamples: int = PAIRED_RESAMPLES,
        seed: int = 0,
    ) -> dict[str, Any]:
        tables = [tabulate_values(found, references, ordered=False) for found in (predictions1, predictions2)]
        once = np.ones((1, len(references)))
        first, second = (float(_mean_error(table, once)[0]) for table in tables)
        drawn = [
            np.stack([_mean_error(table, weights) for table in tables])
            for weights in _resampled(len(references), resamples, seed=seed)
        ]
        one, other = np.concatenate(drawn, axis=1)
        differences = (other - one)[np.isfinite(other - one)]
        return paired_test("mae", first, second, differences, documents=len(references))


class Column(NamedTuple):
    """The numbers of one value: `[pairs]` each.

    Attributes:
        documents: the row of the document that each pair is of.
        predicted, gold: the numbers.
    """

    documents: NDArray[np.int64]
    predicted: _Floats
    gold: _Floats


class ValueTable(NamedTuple):
    """The predicted and gold numbers of some documents.

    Attributes:
        documents: how many documents there are.
        by_name: the numbers of each value with at least one pair, sorted by name.
        missing: for each name in gold, how many gold numbers have no prediction.
    """

    documents: int
    by_name: list[tuple[str, Column]]
    missing: dict[str, int]

    def scored(self, name: str) -> int:
        """How many gold numbers of a value have a prediction."""
        return sum(len(column.gold) for known, column in self.by_name if known == name)


def tabulate_values(
    predictions: Sequence[Sequence[Mapping[str, Any]]],
    references: Sequence[Sequence[Mapping[str, Any]]],
    *,
    ordered: bool = True,
) -> ValueTable:
    """Put numbers into one table.

    Args:
        predictions: for each document its predicted numbers, as `{"name", "value"}`.
        references: for each document its gold numbers.
        ordered: whether to sort the documents by their numbers, so that their order does not matter.

    Example:
        >>> table = tabulate_values([[{"name": "a", "value": 1.0}]], [[{"name": "a", "value": 2.0}]])
        >>> [(name, column.predicted.tolist(), column.gold.tolist()) for name, column in table.by_name]
        [('a', [1.0], [2.0])]
    """
    rows = [
        sorted((one["name"], float(one["value"]), _number_of(found, one["name"])) for one in gold)
        for found, gold in zip(predictions, references, strict=True)
    ]
    pairs: dict[str, list[tuple[int, float, float]]] = {}
    missing: dict[str, int] = {}
    for document, row in enumerate(sorted(rows) if ordered else rows):
        for name, gold, found in row:
            missing[name] = missing.get(name, 0) + (found != found)  # noqa: PLR0124 - NaN
            if found == found:  # noqa: PLR0124 - not NaN
                pairs.setdefault(name, []).append((document, found, gold))
    columns = []
    for name in sorted(pairs):
        documents, predicted, golds = zip(*pairs[name], strict=True)
        columns.append((name, Column(np.array(documents), np.array(predicted), np.array(golds))))
    return ValueTable(len(rows), columns, missing)


def _number_of(values: Sequence[Mapping[str, Any]], name: str) -> float:
    return next((float(one["value"]) for one in values if one["name"] == name), float("nan"))


def _resampled(documents: int, resamples: int, *, seed: int) -> Iterator[_Floats]:
    """`[some, documents]`: how often each document is in each data set that is drawn with replacement."""
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS // max(1, documents))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        yield random.multinomial(documents, np.full(documents, 1 / documents), size=size).astype(np.float64)


def _add_intervals(scores: dict[str, Any], table: ValueTable, *, resamples: int) -> None:
    drawn: dict[str, dict[str, list[_Floats]]] = {name: {score: [] for score in SCORES} for name, _ in table.by_name}
    for weights in _resampled(table.documents, resamples, seed=0):
        for name, column in table.by_name:
            for score, values in _scores(column, weights).items():
                drawn[name][score].append(values)
    joined = {name: {score: np.concatenate(parts) for score, parts in of.items()} for name, of in drawn.items()}
    for name, of in joined.items():
        scores["per_value"][name]["interval"] = _intervals(of, scores["per_value"][name])
    scores["interval"] = _intervals(_means(joined), scores)


def _intervals(drawn: Mapping[str, _Floats], scores: Mapping[str, Any]) -> dict[str, list[float]]:
    """Intervals of the scores that are defined, over the data sets on which they are."""
    return {
        score: interval(values[np.isfinite(values)])
        for score, values in drawn.items()
        if scores.get(score) is not None and np.isfinite(values).any()
    }


def _means(by_name: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of each score over the values for which it is defined; NaN if there are none."""
    means = {}
    for score in SCORES:
        stacked = np.array([scores[score] for scores in by_name.values()], dtype=np.float64)
        defined = np.isfinite(stacked)
        count = defined.sum(axis=0)
        total = np.where(defined, stacked, 0.0).sum(axis=0)
        means[score] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means


def _known(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Numbers that JSON can hold: `None` for what is not defined."""
    return {name: float(value) if np.isfinite(value) else None for name, value in scores.items()}


def _mean_error(table: ValueTable, weights: _Floats) -> _Floats:
    """`[resamples]`, the mean absolute error, as the mean over the values."""
    errors = [
        _quotient(weights[:, column.documents] @ np.abs(column.predicted - column.gold), _size(column, weights))
        for _, column in table.by_name
    ]
    mean: _Floats = np.mean(errors, axis=0) if errors else np.full(len(weights), np.nan)
    return mean


def _size(column: Column, weights: _Floats) -> _Floats:
    size: _Floats = weights[:, column.documents].sum(axis=1)
    return size


def _scores(column: Column, weights: _Floats) -> dict[str, _Floats]:
    """`[resamples]` each: the scores of one value on data sets that have each document `weights` times.

    Args:
        column: the numbers.
        weights: `[resamples, documents]`.
    """
    of_pairs = weights[:, column.documents]
    size, errors = of_pairs.sum(axis=1), column.predicted - column.gold
    squares = of_pairs @ errors**2
    gold = column.gold - column.gold.mean()  # sums of squares of numbers far from 0 are inexact
    spread = of_pairs @ gold**2 - _quotient((of_pairs @ gold) ** 2, size)
    constant = _is_constant(of_pairs, column.gold)
    return {
        "mae": _quotient(of_pairs @ np.abs(errors), size),
        "rmse": np.sqrt(_quotient(squares, size)),
        "r2": np.where(constant, np.nan, 1 - _quotient(squares, spread)),
        "pearson": _correlation(of_pairs, column, lambda values: values - values.mean()),
        "spearman": _correlation(of_pairs, column, lambda values: _ranks(of_pairs, values)),
    }


def _correlation(weights: _Floats, column: Column, numbers: Callable[[_Floats], _Floats]) -> _Floats:
    """`[resamples]`: the correlation of `numbers` of both sides; NaN for equal gold, 0 for equal predictions only."""
    size = weights.sum(axis=1)

    def centred(values: _Floats) -> _Floats:
        found = np.broadcast_to(numbers(values), weights.shape)
        return found - _quotient((weights * found).sum(axis=1), size)[:, None]

    one, other = centred(column.predicted), centred(column.gold)
    product = np.sqrt((weights * one**2).sum(axis=1)) * np.sqrt((weights * other**2).sum(axis=1))
    found = np.clip(_quotient((weights * one * other).sum(axis=1), product), -1, 1)
    found = np.where(_is_constant(weights, column.predicted), 0.0, found)
    defined: _Floats = np.where(_is_constant(weights, column.gold), np.nan, found)
    return defined


def _is_constant(weights: _Floats, values: _Floats) -> NDArray[np.bool_]:
    """`[resamples]`: whether all numbers of a data set are equal."""
    there = weights > 0
    least = np.where(there, values, np.inf).min(axis=1)
    constant: NDArray[np.bool_] = least >= np.where(there, values, -np.inf).max(axis=1)
    return constant


def _ranks(weights: _Floats, values: _Floats) -> _Floats:
    """`[resamples, pairs]`: the ranks of the numbers in each data set, equal numbers with their mean rank."""
    _, groups = np.unique(values, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    times = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(times, axis=1) - times
    ranks: _Floats = (below + (times + 1) / 2)[:, groups]
    return ranks


def _quotient(above: _Floats, below: _Floats) -> _Floats:
    quotient: _Floats = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return quotient
