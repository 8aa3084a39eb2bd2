"""The threshold of "no answer", fitted on validation documents."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Document, Predictor, Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import QuestionAnswering
from nlp_training.evaluation.fitting import Fitter, decode_validation, with_task
from nlp_training.metrics.answers import answer_f1


class NoAnswerThreshold(Fitter):
    """Fits the field `no_answer_threshold` of `question-answering`; see `best_no_answer_threshold`."""

    name = "no_answer_threshold"
    fields = ("no_answer_threshold",)

    def check(self, task: Task) -> None:
        """Check that the task answers questions."""
        _answering(task)

    def fit(self, predictor: Predictor, documents: Sequence[Document], *, seed: int) -> Task:  # noqa: ARG002
        """Return the task with the fitted threshold.

        The model runs once. Its outputs are decoded and postprocessed as in production, with an answer to every
        question, and without a threshold.

        Raises:
            InvalidDocumentError: a document has no gold.
            PredictionError: a document could not be predicted.
        """
        task = _answering(predictor.processor.task)
        always = with_task(predictor.processor, task.model_copy(update={"no_answer_threshold": None}))
        differences, answered, silent = [], [], []
        for outputs, decoded, gold in decode_validation(predictor, always, documents, fitted="a threshold"):
            document = always.postprocess(decoded)
            spans = document.predicted.spans if document.predicted is not None else ()
            accepted = [document.surface(span) for span in gold.spans]
            differences.append(task.candidates(outputs).null_difference)
            answered.append(answer_f1(document.surface(spans[0]) if spans else "", accepted))
            silent.append(answer_f1("", accepted))
        threshold = best_no_answer_threshold(np.array(differences), np.array(answered), np.array(silent))
        return task.model_copy(update={"no_answer_threshold": threshold})


def best_no_answer_threshold(
    differences: NDArray[np.float64], answered: NDArray[np.float64], silent: NDArray[np.float64]
) -> float | None:
    """Return the threshold with the highest F1; of several, the one nearest to 0.

    Args:
        differences: `[questions]`, how much the logit of "no answer" exceeds that of the best answer.
        answered: `[questions]`, the F1 of the best answer.
        silent: `[questions]`, the F1 of no answer: 1 for questions that have none, otherwise 0.

    Returns:
        The threshold; `None`, to answer always, if all questions have an answer.

    Example:
        >>> best_no_answer_threshold(np.array([-3.0, -1.0, 2.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 1.0]))
        -2.0
    """
    if not silent.any():
        return None
    order = np.argsort(differences)
    differences, gains = differences[order], (answered - silent)[order]
    totals = np.append(0.0, np.cumsum(gains))  # with the first n questions answered
    known = differences[np.isfinite(differences)]
    edges = np.concatenate([known[:1] - 1, (known[1:] + known[:-1]) / 2, known[-1:] + 1]) if len(known) else np.zeros(1)
    of_edges = totals[np.searchsorted(differences, edges, side="right")]
    best = edges[of_edges >= of_edges.max() - 1e-9]
    return round(float(best[np.abs(best).argmin()]), 4)


def _answering(task: Task) -> QuestionAnswering:
    if not isinstance(task, QuestionAnswering):
        raise InvalidSpecError(f"the task {task.name!r} has no no_answer_threshold to fit; remove it from fit")
    return task
