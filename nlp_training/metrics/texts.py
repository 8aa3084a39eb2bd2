"""Scores of generated texts: chrF, ROUGE, exact match, and the error rates of words and characters."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray

from nlp_training.metrics.bootstrap import RESAMPLES, interval, resampled_sums
from nlp_training.metrics.paired import RESAMPLES as PAIRED_RESAMPLES
from nlp_training.metrics.paired import paired_test
from nlp_training.metrics.text_comparison import (
    CHARACTER_ORDER,
    chrf,
    chrf_counts,
    edits,
    longest_subsequence,
    ngram_overlap,
    with_single_spaces,
    words_of,
)

_CITATION = """\
@inproceedings{popovic-2015-chrf,
    title = "chr{F}: character n-gram {F}-score for automatic {MT} evaluation", author = "Popovi{\\'c}, Maja",
    year = "2015", url = "https://aclanthology.org/W15-3049/",
}
@inproceedings{lin-2004-rouge,
    title = "{ROUGE}: A Package for Automatic Evaluation of Summaries", author = "Lin, Chin-Yew",
    year = "2004", url = "https://aclanthology.org/W04-1013/",
}"""

_Floats = NDArray[np.float64]

_MEANS = ("rouge1", "rouge2", "rougeL", "exact_match")
"""Scores that are means over documents."""

_RATES = ("wer", "cer")
"""Scores that are edits divided by the length of the gold texts, over all documents."""

_CHRF = 3 * CHARACTER_ORDER
_COLUMNS = len(_MEANS) + 2 * len(_RATES) + _CHRF


class TextOverlap(evaluate.Metric):  # type: ignore[misc]  # evaluate is not typed
    """chrF, ROUGE-1, ROUGE-2, ROUGE-L, exact match, word error rate and character error rate of texts.

    Works offline. Every score but the error rates is from 0 to 1.

    - `chrf`: F2 of character n-grams up to 6 characters, of the counts of all documents, as chrF2 of sacrebleu
      (Popović, 2015, https://aclanthology.org/W15-3049/). It needs no words, so it suits every language.
    - `rouge1`, `rouge2`, `rougeL`: the mean F1 of words, of pairs of words and of the longest common subsequence
      (Lin, 2004, https://aclanthology.org/W04-1013/), without a stemmer; see `words_of` for what a word is.
    - `exact_match`: the share of texts that are equal; any white space equals a single space.
    - `wer`, `cer`: edits divided by the number of words (between white space) or characters of gold. Less is better.

    `interval` contains the 95 % intervals of a bootstrap over documents; `resamples=0` omits them.

    Example:
        >>> scores = TextOverlap().compute(predictions=["the big cat", "a dog"], references=["the cat", "a dog"])
        >>> {name: round(scores[name], 3) for name in ("chrf", "rouge1", "rouge2", "rougeL")}
        {'chrf': 0.431, 'rouge1': 0.9, 'rouge2': 0.5, 'rougeL': 0.9}
        >>> scores["exact_match"], scores["wer"], round(scores["cer"], 3)
        (0.5, 0.25, 0.333)
    """

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Overlap of texts with gold texts.",
            citation=_CITATION,
            inputs_description="For each document the predicted and the gold text.",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(
        self, *, predictions: Sequence[str], references: Sequence[str], resamples: int = RESAMPLES
    ) -> dict[str, Any]:
        table = tabulate_texts(predictions, references)
        totals = table.sum(axis=0)
        scores: dict[str, Any] = {name: float(value) for name, value in _scores(totals, len(table)).items()}
        scores |= {"support": len(references), "per_label": {}}
        if len(references) and resamples:
            drawn = _scores(_resampled(table, resamples=resamples), len(table))
            scores["interval"] = {name: interval(values) for name, values in drawn.items()}
        return scores


class TextBootstrap(evaluate.Comparison):  # type: ignore[misc]  # evaluate is not typed
    """Paired bootstrap test of the chrF of the texts of two models; see `PairedBootstrap`.

    Example:
        >>> gold = ["the cat", "a dog", "one bird", "two fish"] * 2
        >>> found = TextBootstrap().compute(predictions1=[""] * 8, predictions2=gold, references=gold, resamples=999)
        >>> found["difference"], found["p_value"]
        (1.0, 0.001)
    """

    def _info(self) -> evaluate.ComparisonInfo:
        text = datasets.Value("string")
        return evaluate.ComparisonInfo(
            description="Paired bootstrap test of the chrF of texts.",
            citation=_CITATION,
            inputs_description="For each document the text of each model and the gold text.",
            features=datasets.Features(dict.fromkeys(("predictions1", "predictions2", "references"), text)),
        )

    def _compute(
        self,
        *,
        predictions1: Sequence[str],
        predictions2: Sequence[str],
        references: Sequence[str],
        resamples: int = PAIRED_RESAMPLES,
    ) -> dict[str, Any]:
        tables = [
            np.array([chrf_counts(*pair).ravel() for pair in zip(found, references, strict=True)]).reshape(-1, _CHRF)
            for found in (predictions1, predictions2)
        ]
        first, second = (float(_chrf(table.sum(axis=0))) for table in tables)
        drawn = _resampled(np.concatenate(tables, axis=1), resamples=resamples)
        differences = _chrf(drawn[:, _CHRF:]) - _chrf(drawn[:, :_CHRF])
        return paired_test("chrf", first, second, differences, documents=len(references))


def tabulate_texts(predictions: Sequence[str], references: Sequence[str]) -> _Floats:
    """Return the counts of each document, whose sums give the scores of a data set.

    Args:
        predictions: the predicted texts.
        references: the gold texts.

    Returns:
        `[documents, columns]`: the scores that are means, edits and lengths of each error rate, the counts of chrF.
    """
    rows = [_row(found.strip(), gold.strip()) for found, gold in zip(predictions, references, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, _COLUMNS)


def _row(found: str, gold: str) -> list[float]:
    words, gold_words = words_of(found), words_of(gold)
    rouge = (
        ngram_overlap(words, gold_words, 1),
        ngram_overlap(words, gold_words, 2),
        longest_subsequence(words, gold_words),
    )
    return [
        *(one.f1 for one in rouge),
        float(with_single_spaces(found) == with_single_spaces(gold)),
        edits(found.split(), gold.split()),
        len(gold.split()),
        edits(found, gold),
        len(gold),
        *chrf_counts(found, gold).ravel().tolist(),
    ]


def _scores(sums: _Floats, documents: int) -> dict[str, _Floats]:
    """Return each score `[...]` of sums of rows `[..., columns]`."""
    scores = {"chrf": _chrf(sums[..., -_CHRF:])}
    scores |= {name: sums[..., column] / max(1, documents) for column, name in enumerate(_MEANS)}
    for number, name in enumerate(_RATES):
        column = len(_MEANS) + 2 * number
        scores[name] = sums[..., column] / np.maximum(1, sums[..., column + 1])
    return scores


def _chrf(sums: _Floats) -> _Floats:
    return chrf(sums.reshape(*sums.shape[:-1], CHARACTER_ORDER, 3))


def _resampled(table: _Floats, *, resamples: int) -> _Floats:
    """Return the sums `[resamples, columns]` of documents that are drawn with replacement; equal rows are one."""
    rows, times = np.unique(table, axis=0, return_counts=True)
    return resampled_sums(rows, times, resamples=resamples)
