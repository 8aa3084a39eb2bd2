"""Temperature scaling: one number, fitted so that the gold of validation documents is most likely."""

from collections.abc import Iterator, Sequence
from copy import copy
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from accelerate.utils import broadcast_object_list
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from nlp_inference import Document, Predictor, Processor, Task
from nlp_inference.errors import InvalidSpecError, PredictionError
from nlp_inference.route import Trace
from nlp_inference.tasks import Decisions, SoftmaxTask
from nlp_training.streams import in_chunks

if TYPE_CHECKING:
    from nlp_training.trainer import DocumentTrainer

DECISIONS = 100_000
"""How many decisions, words or documents, a temperature is fitted to at most."""

_LOW, _HIGH = 0.05, 20.0
_DOCUMENTS_AT_ONCE = 256


def check_calibration(task: Task, *, has_validation: bool) -> SoftmaxTask:
    """The task, if it can be calibrated.

    Raises:
        InvalidSpecError: its scores are no probabilities of a softmax, or there is nothing to fit a temperature to.
    """
    if not isinstance(task, SoftmaxTask):
        raise InvalidSpecError(
            f"calibrate is true, but the task {task.name!r} makes its scores by no softmax; leave calibrate out"
        )
    if not has_validation:
        raise InvalidSpecError("calibrate is true, but there is nothing to fit a temperature to; give data.validation")
    return task


def calibrate(trainer: "DocumentTrainer", documents: Sequence[Document], *, seed: int = 0) -> float:
    """Fit a temperature to the weights as they are now; from then on the trainer evaluates and saves with it.

    Every process must call this; the main one predicts.

    Args:
        trainer: has trained.
        documents: with gold; not those that were trained on, on which a model is too certain.
        seed: draws documents where there are more than are needed.

    Returns:
        The temperature.

    Raises:
        InvalidSpecError: the task cannot be calibrated, or the documents hold nothing to fit to.
    """
    fitted: list[float | None] = [None]
    if trainer.is_world_process_zero():
        with trainer.serving() as predictor:
            fitted = [fit_temperature(predictor, documents, seed=seed)]
    temperature = float(broadcast_object_list(fitted)[0])
    trainer.processor = trainer.processing_class = with_temperature(trainer.processor, temperature)
    return temperature


def with_temperature(processor: Processor, temperature: float) -> Processor:
    """The same processor, whose task has another temperature."""
    other = copy(processor)
    other.task = check_calibration(processor.task, has_validation=True).with_temperature(temperature)
    return other


def fit_temperature(predictor: Predictor, documents: Sequence[Document], *, seed: int = 0) -> float:
    """The temperature that makes the right answers most likely, as production would compute them.

    Args:
        predictor: whatever temperature its task has is not looked at.
        documents: with gold; some are drawn where they hold more than `DECISIONS` decisions.
        seed: of the draw.

    Raises:
        InvalidSpecError: the task cannot be calibrated, or the documents hold nothing to fit to.
        PredictionError: a document could not be predicted.
    """
    task = check_calibration(predictor.processor.task, has_validation=True)
    logits: list[NDArray[np.float32]] = []
    gold: list[NDArray[np.int64]] = []
    count = 0
    for one in _decisions(predictor, task, Random(seed).sample(documents, len(documents))):  # noqa: S311 - no secret
        logits.append(one.logits)
        gold.append(one.gold)
        count += len(one.gold)
        if count >= DECISIONS:
            break
    if not count:
        raise InvalidSpecError("calibrate is true, but the validation documents are all empty; give others")
    return best_temperature(np.concatenate(logits), np.concatenate(gold))


def best_temperature(logits: NDArray[np.float32], gold: NDArray[np.int64]) -> float:
    """The temperature of least mean negative log-likelihood (Guo et al., 2017), between 0.05 and 20.

    Where every answer is right, confidence cannot be too high, and it is 0.05.

    Args:
        logits: `[decisions, classes]`.
        gold: `[decisions]`, ids of the right classes.

    Example:
        >>> logits = np.array([[2.0, 0.0]] * 4, dtype=np.float32)
        >>> gold = np.array([0, 0, 0, 1])  # right three times of four: the odds are 3, and so exp(2 / T)
        >>> round(best_temperature(logits, gold), 2), round(2 / float(np.log(3)), 2)
        (1.82, 1.82)
    """
    exact = logits.astype(np.float64)
    right = exact[np.arange(len(gold)), gold]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float((logsumexp(exact * scale, axis=1) - right * scale).mean())

    found = minimize_scalar(loss, bounds=(np.log(_LOW), np.log(_HIGH)), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), 4)


def _decisions(predictor: Predictor, task: SoftmaxTask, documents: Sequence[Document]) -> Iterator[Decisions]:
    for chunk in in_chunks(documents, size=_DOCUMENTS_AT_ONCE):
        traces = [Trace(str(document.id), document) for document in chunk]
        for trace in predictor.route.follow(traces, token_budget=predictor.backend.token_budget):
            if trace.failure is not None or trace.encoded is None or trace.outputs is None:
                raise PredictionError(f"document {trace.id!r}: {trace.failure}") from trace.failure
            yield task.decisions(trace.encoded, trace.rows, trace.outputs)
