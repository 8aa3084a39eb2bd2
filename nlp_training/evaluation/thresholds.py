"""Thresholds of a task that scores each label independently, fitted to validation documents for the best F1."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Document, Predictor, Task
from nlp_inference.errors import InvalidSpecError
from nlp_training.evaluation.fitting import Fitter, FittingWarning, decode_validation

SHRINKAGE = 10.0
"""The weight of the global threshold, in documents that have the label."""

_DIGITS = 6
_LEAST = 10.0**-_DIGITS
_Scores = NDArray[np.float64]
_Gold = NDArray[np.bool_]


class Thresholds(Fitter):
    """Fits the fields `threshold` and `thresholds` of a task that fills `Annotation.label_scores`.

    `threshold` is the one with the best micro F1 over all labels (`best_threshold`). Each label that occurs in the
    validation documents then gets a threshold between this one and the one with the best F1 of the label:
    `logit(t) = w logit(t_label) + (1 - w) logit(t_global)` with `w = n / (n + shrinkage)` for a label of `n` documents.
    A threshold that is fitted on few documents overfits: a single document determines it, and for a label that the
    model cannot find, the best F1 is that of predicting it everywhere (Lipton et al., 2014,
    https://arxiv.org/abs/1402.1892). Yang (2001), https://doi.org/10.1145/383952.383975, compares ways of thresholding.

    Scores of the documents that thresholds were fitted to are too good; use a test set.

    Args:
        shrinkage: the number of documents with the label at which both thresholds have the same weight; 0 fits each
            label independently.

    Example:
        >>> Fitter.from_spec({"thresholds": {"shrinkage": 20}})
        Thresholds(shrinkage=20.0)
    """

    name = "thresholds"
    fields = ("threshold", "thresholds")

    shrinkage: float = SHRINKAGE

    def check(self, task: Task) -> None:
        """Check that the task has thresholds of labels."""
        missing = [name for name in ("labels", *self.fields) if name not in type(task).model_fields]
        if missing:
            raise InvalidSpecError(
                f"fit names 'thresholds', but the task {task.name!r} has no {missing[0]!r} to fit; remove it, or "
                "choose a task such as multi-label-classification"
            )

    def fit(self, predictor: Predictor, documents: Sequence[Document], *, seed: int) -> Task:  # noqa: ARG002
        """Return the task with the fitted thresholds; the model runs once for each document.

        Warns:
            UserWarning: no document has a label, so that nothing can be fitted.

        Raises:
            InvalidDocumentError: a document has no gold.
            InvalidSpecError: the task does not fill `Annotation.label_scores`.
        """
        task: Any = predictor.processor.task
        self.check(task)
        scores, gold = label_scores(predictor, documents)
        if not gold.any():
            warnings.warn(
                f"no validation document has a label, so that the thresholds cannot be fitted; {task.threshold} stays",
                FittingWarning,
                stacklevel=2,
            )
            return predictor.processor.task
        overall = best_threshold(scores.ravel(), gold.ravel())
        thresholds = {
            label: shrunk_threshold(scores[:, index], gold[:, index], towards=overall, shrinkage=self.shrinkage)
            for index, label in enumerate(task.labels)
            if gold[:, index].any()
        }
        fitted: Task = type(task).from_value({**task.model_dump(), "threshold": overall, "thresholds": thresholds})
        return fitted


def label_scores(predictor: Predictor, documents: Sequence[Document]) -> tuple[_Scores, _Gold]:
    """Predict documents, and return the score of each label and whether it is gold, `[documents, labels]` each.

    Raises:
        InvalidDocumentError: a document has no gold.
        InvalidSpecError: the task does not fill `Annotation.label_scores`.
        PredictionError: a document could not be predicted.
    """
    task: Any = predictor.processor.task
    rows = list(_rows(predictor, documents, labels=task.labels))
    shape = (len(rows), len(task.labels))
    scores, gold = (np.array([row[part] for row in rows]).reshape(shape) for part in (0, 1))
    return scores, gold.astype(bool)


def best_threshold(scores: _Scores, gold: _Gold) -> float:
    """Return the threshold of the best F1 of the decisions `scores >= threshold`.

    All sets of decisions that a threshold can make are tried. The threshold lies in the middle (of the logits) between
    the least score that is decided for and the greatest one that is not, so that scores that differ in their last bits
    are decided alike. Of equally good thresholds it is the highest.

    Args:
        scores: `[decisions]`, probabilities.
        gold: `[decisions]`, whether the decision should be for the label; at least one of them.

    Example:
        >>> round(best_threshold(np.array([0.9, 0.6, 0.4, 0.1]), np.array([True, True, False, False])), 4)
        0.5
    """
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(gold[order])
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # equal scores are decided alike
    f1 = 2 * right[ends] / (ends + 1 + right[-1])
    best = int(ends[np.argmax(f1)])
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best] / 2
    middle = _probability((_logit(ranked[best]) + _logit(below)) / 2)
    return _rounded(middle, low=below, high=ranked[best])


def shrunk_threshold(scores: _Scores, gold: _Gold, *, towards: float, shrinkage: float) -> float:
    """Return the threshold of a label between that of its best F1 and the global one; see `Thresholds`.

    Args:
        scores: `[documents]`, of the label.
        gold: `[documents]`, whether the document has it; at least one does.
        towards: the global threshold.
        shrinkage: documents with the label at which both count alike.

    Example:
        >>> scores, gold = np.array([0.2, 0.1]), np.array([True, False])
        >>> [round(shrunk_threshold(scores, gold, towards=0.5, shrinkage=one), 2) for one in (0, 1, 1000)]
        [0.14, 0.29, 0.5]
    """
    share = gold.sum() / (gold.sum() + shrinkage)
    own = best_threshold(scores, gold)
    return round(_probability(share * _logit(own) + (1 - share) * _logit(towards)), _DIGITS)


def _rows(
    predictor: Predictor, documents: Sequence[Document], *, labels: Sequence[str]
) -> Iterator[tuple[_Scores, _Gold]]:
    for _, document, gold in decode_validation(predictor, predictor.processor, documents, fitted="thresholds"):
        scores = {} if document.predicted is None else document.predicted.label_scores
        if any(label not in scores for label in labels):
            raise InvalidSpecError(
                f"the task {predictor.processor.task.name!r} does not give the scores of all labels "
                "(Annotation.label_scores), to which thresholds are fitted; remove 'thresholds' from fit"
            )
        wanted = {category.label for category in gold.categories}
        yield np.array([scores[label] for label in labels]), np.array([label in wanted for label in labels])


def _rounded(threshold: float, *, low: float, high: float) -> float:
    """A threshold of few digits, if it still lies between two scores; the upper one where nothing else does."""
    return float(next((one for one in (round(threshold, _DIGITS), threshold) if low < one <= high), high))


def _logit(probability: float) -> float:
    inside = min(max(float(probability), _LEAST**2), 1 - _LEAST)
    return float(np.log(inside) - np.log1p(-inside))


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
