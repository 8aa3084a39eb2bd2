"""Paired significance tests of two models on the same documents."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from nlp_training.metrics.bootstrap import interval, resampled_totals
from nlp_training.metrics.counts import LabelCounts, fractions, tabulate
from nlp_training.metrics.spans import span_feature, span_keys

RESAMPLES = 10_000

_MCNEMAR = """\
@article{mcnemar-1947,
    title = "Note on the sampling error of the difference between correlated proportions or percentages",
    author = "McNemar, Quinn", journal = "Psychometrika", volume = 12, year = "1947",
}"""
_PAIRED = """\
@inproceedings{berg-kirkpatrick-etal-2012,
    title = "An Empirical Investigation of Statistical Significance in {NLP}",
    author = "Berg-Kirkpatrick, Taylor and Burkett, David and Klein, Dan",
    year = "2012", url = "https://aclanthology.org/D12-1091/",
}"""


class McNemar(evaluate.Comparison):  # type: ignore[misc]  # evaluate is not typed
    """McNemar's exact test of two models that predict one category per document.

    Works offline. The test uses only documents for which exactly one model is correct. Under the null hypothesis, each
    model is the correct one with probability 1/2. `p_value` is two-sided.

    Example:
        >>> one, other, gold = ["a"] * 6, ["b"] * 6, ["a"] * 6
        >>> found = McNemar().compute(predictions1=one, predictions2=other, references=gold)
        >>> found["first_only"], found["second_only"], found["p_value"]
        (6, 0, 0.03125)
    """

    def _info(self) -> evaluate.ComparisonInfo:
        label = datasets.Value("string")
        return evaluate.ComparisonInfo(
            description="McNemar's exact test.",
            citation=_MCNEMAR,
            inputs_description="For each document the label of each model and the gold label.",
            features=datasets.Features({"predictions1": label, "predictions2": label, "references": label}),
        )

    def _compute(
        self, *, predictions1: Sequence[str], predictions2: Sequence[str], references: Sequence[str]
    ) -> dict[str, Any]:
        triples = zip(predictions1, predictions2, references, strict=True)
        correct = [(one == gold, other == gold) for one, other, gold in triples]
        first_only, second_only = correct.count((True, False)), correct.count((False, True))
        discordant = first_only + second_only
        documents = max(1, len(correct))
        return {
            "test": "McNemar's exact test",
            "score": "accuracy",
            "first": sum(one for one, _ in correct) / documents,
            "second": sum(other for _, other in correct) / documents,
            "difference": (second_only - first_only) / documents,
            "first_only": first_only,
            "second_only": second_only,
            "documents": len(correct),
            "p_value": float(binomtest(first_only, discordant).pvalue) if discordant else 1.0,
        }


class PairedBootstrap(evaluate.Comparison):  # type: ignore[misc]  # evaluate is not typed
    """Paired bootstrap test of the F1 of exact spans of two models (Berg-Kirkpatrick et al., 2012).

    A subclass that compares other annotations than spans overrides `feature` and `keys`.

    Works offline. Data sets are drawn from the documents with replacement. `p_value` is the share of data sets on which
    the better model leads by at least twice its lead on all documents, which estimates how often chance alone causes
    such a difference. It is one-sided, and never 0 because the original documents count as one of the data sets.
    `interval` is the 95 % interval of `difference`, the F1 of the second model minus that of the first.

    Example:
        >>> gold = [[{"start": 0, "end": 3, "label": "A"}]] * 8
        >>> found = PairedBootstrap().compute(predictions1=[[]] * 8, predictions2=gold, references=gold, resamples=999)
        >>> found["first"], found["second"], found["difference"], found["interval"], found["p_value"]
        (0.0, 1.0, 1.0, [1.0, 1.0], 0.001)
    """

    def _info(self) -> evaluate.ComparisonInfo:
        annotations = [self.feature()]
        names = ("predictions1", "predictions2", "references")
        return evaluate.ComparisonInfo(
            description="Paired bootstrap test of F1.",
            citation=_PAIRED,
            inputs_description="For each document the annotations of each model and the gold annotations.",
            features=datasets.Features(dict.fromkeys(names, annotations)),
        )

    @staticmethod
    def feature() -> Any:
        """Return the `datasets` feature of an annotation."""
        return span_feature()

    @staticmethod
    def keys(annotations: Sequence[Any]) -> set[Any]:
        """Return the keys by which annotations of a document are compared."""
        return span_keys(annotations)

    def _compute(
        self,
        *,
        predictions1: Sequence[Sequence[Any]],
        predictions2: Sequence[Sequence[Any]],
        references: Sequence[Sequence[Any]],
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> dict[str, Any]:
        triples = zip(predictions1, predictions2, references, strict=True)
        table = tabulate(_count(*map(self.keys, one)) for one in triples)
        first, second = fractions(table.totals())["f1"].tolist()
        drawn = fractions(resampled_totals(table, resamples=resamples, seed=seed))["f1"]
        return paired_test("f1", first, second, drawn[:, 1] - drawn[:, 0], documents=len(references))


def paired_test(
    score: str, first: float, second: float, differences: NDArray[np.float64], *, documents: int
) -> dict[str, Any]:
    """Return the result of a paired bootstrap test; see `PairedBootstrap`.

    Args:
        score: the name of the score.
        first: the score of the first model on all documents.
        second: the score of the second model on all documents.
        differences: `[resamples]`, the score of the second model less that of the first, on data sets that are drawn
            from the documents with replacement.
        documents: the number of documents.

    Example:
        >>> paired_test("f1", 0.5, 0.75, np.array([0.2, 0.3, 0.6]), documents=8)["p_value"]
        0.5
    """
    lead = second - first
    as_large = np.count_nonzero(differences * (1 if lead >= 0 else -1) >= 2 * abs(lead))
    return {
        "test": "paired bootstrap",
        "score": score,
        "first": first,
        "second": second,
        "difference": lead,
        "interval": interval(differences),
        "documents": documents,
        "p_value": (1 + int(as_large)) / (1 + len(differences)),
    }


def _count(first: set[Any], second: set[Any], gold: set[Any]) -> LabelCounts:
    """Count two models like two labels, whose sorted names keep the order of the models."""
    found = {"first": first, "second": second}
    return {name: (len(keys & gold), len(keys), len(gold)) for name, keys in found.items()}
