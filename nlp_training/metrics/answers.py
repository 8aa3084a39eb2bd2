"""Scores of answers to questions, as the official script of SQuAD 2.0 defines them."""

from collections import Counter
from collections.abc import Callable, Sequence
from re import compile as regex
from string import punctuation
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray

from nlp_training.metrics.bootstrap import RESAMPLES, interval, resampled_sums
from nlp_training.metrics.paired import RESAMPLES as PAIRED_RESAMPLES
from nlp_training.metrics.paired import paired_test

_CITATION = """\
@inproceedings{rajpurkar-etal-2018-know,
    title = "Know What You Don't Know: Unanswerable Questions for {SQ}u{AD}",
    author = "Rajpurkar, Pranav and Jia, Robin and Liang, Percy",
    year = "2018", url = "https://aclanthology.org/P18-2124/",
}"""

_ARTICLES = regex(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", punctuation)
_Floats = NDArray[np.float64]


def normalize_answer(text: str) -> str:
    """Lower-case a text and remove punctuation (ASCII), English articles and superfluous white space.

    Example:
        >>> normalize_answer("The  Eiffel Tower!")
        'eiffel tower'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(found: str, gold: Sequence[str]) -> float:
    """Return 1 if a text equals one of the accepted answers after normalization, otherwise 0.

    Args:
        found: the predicted answer; empty for no answer.
        gold: the accepted answers; none for a question without an answer.
    """
    return _best(found, gold, lambda one, other: float(one == other))


def answer_f1(found: str, gold: Sequence[str]) -> float:
    """Return the best F1 of the words that a text shares with an accepted answer; see `exact_match`.

    Example:
        >>> answer_f1("in the Eiffel Tower", ["The Eiffel Tower", "Paris"])
        0.8
    """
    return _best(found, gold, lambda one, other: _overlap(one.split(), other.split()))


def character_f1(found: str, gold: Sequence[str]) -> float:
    """Return the best F1 of the characters that a text shares with an accepted answer, for scripts without spaces.

    Example:
        >>> character_f1("東京都", ["東京"])
        0.8
    """
    return _best(found, gold, lambda one, other: _overlap(one.replace(" ", ""), other.replace(" ", "")))


class AnswerF1(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """Exact match and F1 of answers, of all questions and apart for those with and without an answer.

    Works offline. Scores are from 0 to 1. `interval` contains the 95 % intervals of a bootstrap over documents;
    `resamples=0` omits them. A score of questions that do not occur is omitted.

    Source: https://rajpurkar.github.io/SQuAD-explorer/ (evaluation script of version 2.0)

    Example:
        >>> scores = AnswerF1().compute(predictions=["the tower", ""], references=[["tower", "a tower"], []])
        >>> scores["exact_match"], scores["answerable_f1"], scores["unanswerable_accuracy"]
        (1.0, 1.0, 1.0)
    """

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Exact match and F1 of answers.",
            citation=_CITATION,
            inputs_description="For each question the predicted text, empty for none, and the accepted answers.",
            features=datasets.Features({"predictions": text, "references": [text]}),
        )

    def _compute(
        self, *, predictions: Sequence[str], references: Sequence[Sequence[str]], resamples: int = RESAMPLES
    ) -> dict[str, Any]:
        table = np.array(
            [
                (answer_f1(found, gold), exact_match(found, gold), character_f1(found, gold))
                for found, gold in zip(predictions, references, strict=True)
            ]
        ).reshape(-1, 3)
        answerable = np.array([bool(gold) for gold in references], dtype=bool)
        names = ("f1", "exact_match", "character_f1")
        scores: dict[str, Any] = dict(zip(names, _means(table), strict=True))
        if answerable.any():
            f1, exact, _ = _means(table[answerable])
            scores |= {"answerable_f1": f1, "answerable_exact_match": exact}
        if not answerable.all():
            scores["unanswerable_accuracy"] = _means(table[~answerable])[1]
        scores["support"] = len(references)
        if len(references) and resamples:
            drawn = resampled_means(table, resamples=resamples)
            scores["interval"] = {name: interval(drawn[:, column]) for column, name in enumerate(names)}
        return scores


class AnswerBootstrap(evaluate.Comparison):  # type: ignore[misc]  # evaluate is not typed
    """Paired bootstrap test of the F1 of answers of two models; see `PairedBootstrap`.

    Example:
        >>> gold = [["Rome"]] * 8
        >>> test = AnswerBootstrap()
        >>> found = test.compute(predictions1=[""] * 8, predictions2=["Rome"] * 8, references=gold, resamples=999)
        >>> found["difference"], found["p_value"]
        (1.0, 0.001)
    """

    def _info(self) -> evaluate.ComparisonInfo:
        text = datasets.Value("string")
        return evaluate.ComparisonInfo(
            description="Paired bootstrap test of the F1 of answers.",
            citation=_CITATION,
            inputs_description="For each question the text of each model and the accepted answers.",
            features=datasets.Features({"predictions1": text, "predictions2": text, "references": [text]}),
        )

    def _compute(
        self,
        *,
        predictions1: Sequence[str],
        predictions2: Sequence[str],
        references: Sequence[Sequence[str]],
        resamples: int = PAIRED_RESAMPLES,
    ) -> dict[str, Any]:
        pairs = zip(predictions1, predictions2, references, strict=True)
        table = np.array([(answer_f1(one, gold), answer_f1(other, gold)) for one, other, gold in pairs]).reshape(-1, 2)
        first, second = _means(table)
        drawn = resampled_means(table, resamples=resamples)
        return paired_test("f1", first, second, drawn[:, 1] - drawn[:, 0], documents=len(references))


def resampled_means(table: _Floats, *, resamples: int) -> _Floats:
    """Return the means of data sets that are drawn from the documents with replacement.

    Args:
        table: `[documents, scores]`.
        resamples: how many data sets to draw.

    Returns:
        `[resamples, scores]`.

    Example:
        >>> resampled_means(np.ones((4, 1)), resamples=2).tolist()
        [[1.0], [1.0]]
    """
    rows, times = np.unique(table, axis=0, return_counts=True)
    return resampled_sums(rows, times, resamples=resamples) / len(table)


def _means(table: _Floats) -> list[float]:
    means: list[float] = table.mean(axis=0).tolist() if len(table) else [0.0] * table.shape[1]
    return means


def _best(found: str, gold: Sequence[str], score: Callable[[str, str], float]) -> float:
    normal = normalize_answer(found)
    accepted = [one for one in map(normalize_answer, gold) if one] or [""]
    return max(score(normal, one) for one in accepted)


def _overlap(found: Sequence[str], gold: Sequence[str]) -> float:
    if not found or not gold:
        return float(found == gold)
    shared = (Counter(found) & Counter(gold)).total()
    return 2 * shared / (len(found) + len(gold))
