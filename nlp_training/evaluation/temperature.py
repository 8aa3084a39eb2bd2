"""Temperature scaling: one number, fitted so that answers are as certain as they are right on validation documents."""

import warnings
from collections.abc import Callable, Sequence
from copy import copy
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from accelerate.utils import broadcast_object_list
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from nlp_inference import Annotation, Document, Predictor, Processor, Task
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError, PredictionError
from nlp_inference.predict.trace import Trace
from nlp_inference.tasks import Answered, SoftmaxTask
from nlp_inference.transforms import Compose, PostTransform
from nlp_inference.transforms.post import MinScore
from nlp_training.batches.streams import in_chunks
from nlp_training.gold import document_metric

if TYPE_CHECKING:
    from nlp_training.trainer import DocumentTrainer

ANSWERS = 10_000
"""How many answers, spans or categories, a temperature is fitted to at most."""

KEPT_BYTES = 64_000_000
"""How many bytes of logits are kept meanwhile at most, beside those of the last chunk of documents."""

_LOW, _HIGH = 0.05, 20.0
_DOCUMENTS_AT_ONCE = 256
_Floats = NDArray[np.float64]


class Answers(NamedTuple):
    """Answers that were given: `[answers]` each, their confidences, and 1 for those that are right, 0 for others."""

    confidences: _Floats
    rights: _Floats


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
        InvalidSpecError: the task cannot be calibrated.
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
    """The temperature at which the confidence of answers is nearest to whether they are right.

    The model is asked once. What it said is then decoded and postprocessed at each temperature that is tried, as
    production does it, but for `min_score`, which would drop the answers that are asked about.

    Args:
        predictor: whatever temperature its task has is not looked at.
        documents: with gold; some are drawn where they hold more than `ANSWERS` answers.
        seed: of the draw.

    Returns:
        The temperature; 1 if there are no answers.

    Warns:
        UserWarning: there are no answers.

    Raises:
        InvalidSpecError: the task cannot be calibrated.
        InvalidDocumentError: a document has no gold.
        PredictionError: a document could not be predicted.
    """
    check_calibration(predictor.processor.task, has_validation=True)
    drawn = Random(seed).sample(documents, len(documents))  # noqa: S311 - no secret
    plain, answered = _ask(predictor, drawn)
    if not any(len(one.rights) for one in plain):
        warnings.warn(
            "calibrate is true, but the model gives no answer to any validation document; the temperature stays 1",
            stacklevel=2,
        )
        return 1.0

    def answers(temperature: float) -> Answers:
        at = _as_answered(predictor.processor, temperature)
        scaled = [one for part in in_chunks(answered, size=_DOCUMENTS_AT_ONCE) for one in _answers(at, part)]
        same = [one if len(one.rights) == len(old.rights) else old for one, old in zip(scaled, plain, strict=True)]
        return Answers(*map(np.concatenate, zip(*same, strict=True)))

    return best_temperature(answers)


def best_temperature(answers: Callable[[float], Answers]) -> float:
    """The temperature of least Brier score, between 0.05 and 20, or 1 if the answers do not tell it apart from 1.

    Temperature scaling is that of Guo et al. (2017), https://proceedings.mlr.press/v70/guo17a.html; of a structured
    prediction it is fitted to what is predicted, and not to its parts (Kuleshov and Liang, 2015,
    https://papers.nips.cc/paper/5658-calibrated-structured-prediction). The Brier score is bounded, so that no single
    answer that is certain and wrong decides. 1 stays if its score is worse by less than a standard error of the
    difference (as the rule of Breiman et al., Classification and Regression Trees, 1984, chooses the simpler model).
    Two answers are added to those that there are, one right and one wrong, each as certain as all are on average
    (Laplace's rule of succession): however many were right, the next one may be wrong.

    Args:
        answers: the same answers at any temperature, in the same order.

    Example:
        >>> rights = np.array([1, 1, 1, 0] * 1000)  # right three times of four: the odds are 3, and so exp(2 / T)
        >>> found = best_temperature(lambda t: Answers(np.full(4000, 1 / (1 + np.exp(-2 / t))), rights))
        >>> round(found, 2), round(2 / float(np.log(3)), 2)
        (1.82, 1.82)
        >>> best_temperature(lambda t: Answers(np.full(8, 1 / (1 + np.exp(-2 / t))), rights[:8]))  # too few to tell
        1.0
    """

    def losses(temperature: float) -> _Floats:
        confidences, rights = answers(temperature)
        confidences = np.append(confidences, [confidences.mean()] * 2)
        squares: _Floats = (confidences - np.append(rights, [1, 0])) ** 2
        return squares

    found = minimize_scalar(
        lambda log_temperature: float(losses(np.exp(log_temperature)).mean()),
        bounds=(np.log(_LOW), np.log(_HIGH)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    best = round(float(np.exp(found.x)), 4)
    worse = losses(1.0) - losses(best)
    return best if worse.mean() > worse.std() / np.sqrt(len(worse)) else 1.0


def _ask(predictor: Predictor, documents: Sequence[Document]) -> tuple[list[Answers], list[Answered]]:
    """The answers to documents at a temperature of 1, as many as are needed, and what the model said."""
    plain = _as_answered(predictor.processor, 1.0)
    found: list[Answers] = []
    answered: list[Answered] = []
    size = count = 0
    for chunk in in_chunks(documents, size=_DOCUMENTS_AT_ONCE):
        traces = [Trace(str(document.id), document) for document in chunk]
        followed = predictor.route.follow(traces, token_budget=predictor.token_budget)
        asked = [_asked(trace) for trace in followed]
        for one, answers in zip(asked, _answers(plain, asked), strict=True):
            answered.append(one)
            found.append(answers)
            count += len(answers.rights)
            size += sum(array.nbytes for output in one.outputs for array in output.values())
            if count >= ANSWERS or size >= KEPT_BYTES:
                return found, answered
    return found, answered


def _as_answered(processor: Processor, temperature: float) -> Processor:
    """The processor at a temperature, without a threshold for scores."""
    other = with_temperature(processor, temperature)
    steps = [step for step in processor.postprocess if not isinstance(step, MinScore)]
    other.postprocess = Compose(steps, kind=PostTransform)
    return other


def _asked(trace: Trace) -> Answered:
    """What the model said of a document with gold."""
    if trace.failure is not None:
        raise PredictionError(f"document {trace.id!r}: {trace.failure}") from trace.failure
    if trace.encoded is None or trace.outputs is None or trace.encoded.document.gold is None:
        raise InvalidDocumentError(f"document {trace.id!r} has no gold to fit a temperature to")
    return Answered(trace.encoded, trace.rows, trace.outputs)


def _answers(processor: Processor, asked: Sequence[Answered]) -> list[Answers]:
    """What `metrics.Calibration` sees of each document."""
    calibration = document_metric(processor.task.needs).further["calibration"]
    found: list[Answers] = []
    for one, document in zip(asked, processor.interpret_outputs(asked), strict=True):
        gold = one.encoded.document.gold or Annotation()
        confidences, rights = calibration.view(processor.postprocess(document), gold)
        found.append(Answers(np.array(confidences, dtype=np.float64), np.array(rights, dtype=np.float64)))
    return found
