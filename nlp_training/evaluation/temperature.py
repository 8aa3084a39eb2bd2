"""Temperature scaling: one number, fitted so that confidences equal the share of correct predictions on validation."""

import warnings
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from nlp_inference import Document, Predictor, Processor, Task
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.tasks import DocumentOutputs, TemperatureTask
from nlp_inference.transforms import Compose, PostTransform
from nlp_inference.transforms.post import MinScore
from nlp_training.batches.streams import in_chunks
from nlp_training.evaluation.fitting import Fitter, FittingWarning, with_task
from nlp_training.gold import document_metric

PREDICTIONS = 10_000
"""A temperature is fitted to at most this many predicted spans or categories."""

KEPT_BYTES = 64_000_000
"""At most this many bytes of logits are kept, in addition to those of the last document."""

_LOW, _HIGH = 0.05, 20.0
_DOCUMENTS_AT_ONCE = 256
_Floats = NDArray[np.float64]


class Confidences(NamedTuple):
    """The confidences of predictions `[predictions]`, and 1 for each correct one and 0 for each other one."""

    confidences: _Floats
    correct: _Floats


class Temperature(Fitter):
    """Fits the field `temperature` of a `TemperatureTask`; see `fit_temperature`."""

    name = "temperature"
    fields = ("temperature",)
    comes_first = True

    def check(self, task: Task) -> None:
        """Check that the scores of the task are probabilities of a softmax or of sigmoids."""
        _calibrated(task)

    def fit(self, predictor: Predictor, documents: Sequence[Document], *, seed: int) -> Task:
        """Return the task with the fitted temperature."""
        task = _calibrated(predictor.processor.task)
        return task.with_temperature(fit_temperature(predictor, documents, seed=seed))


def _calibrated(task: Task) -> TemperatureTask:
    if not isinstance(task, TemperatureTask):
        raise InvalidSpecError(
            f"calibrate is true, but the scores of the task {task.name!r} are not probabilities of a softmax or "
            "of sigmoids; remove calibrate"
        )
    return task


def fit_temperature(predictor: Predictor, documents: Sequence[Document], *, seed: int = 0) -> float:
    """Return the temperature at which confidences are nearest to whether the predictions are correct.

    The model runs once. Its outputs are then decoded and postprocessed at each temperature that is tried, as in
    production, but without `min_score`, which would drop predictions that are compared.

    Args:
        predictor: the temperature of its task is ignored.
        documents: with gold; some are drawn if they have more than `PREDICTIONS` predictions.
        seed: of the draw.

    Returns:
        The temperature; 1 if there are no predictions.

    Warns:
        UserWarning: there are no predictions.

    Raises:
        InvalidSpecError: the task cannot be calibrated.
        InvalidDocumentError: a document has no gold.
        PredictionError: a document could not be predicted.
    """
    drawn = Random(seed).sample(documents, len(documents))  # noqa: S311 - no secret
    outputs, plain = _run_model(predictor, drawn)
    if not any(len(one.correct) for one in plain):
        warnings.warn(
            "calibrate is true, but the model predicts nothing for any validation document; the temperature stays 1",
            FittingWarning,
            stacklevel=2,
        )
        return 1.0

    def confidences(temperature: float) -> Confidences:
        at = _at_temperature(predictor.processor, temperature)
        scaled = [one for part in in_chunks(outputs, size=_DOCUMENTS_AT_ONCE) for one in _confidences(at, part)]
        same = [one if len(one.correct) == len(old.correct) else old for one, old in zip(scaled, plain, strict=True)]
        return Confidences(*map(np.concatenate, zip(*same, strict=True)))

    return best_temperature(confidences)


def best_temperature(confidences: Callable[[float], Confidences]) -> float:
    """Return the temperature of least Brier score from 0.05 to 20, or 1 if it is not significantly better than 1.

    Temperature scaling is that of Guo et al. (2017), https://proceedings.mlr.press/v70/guo17a.html; of a structured
    prediction it is fitted to what is predicted, and not to its parts (Kuleshov and Liang, 2015,
    https://papers.nips.cc/paper/5658-calibrated-structured-prediction). The Brier score is bounded, so that no single
    certain and wrong prediction decides. The temperature stays 1 if its score is worse by less than a standard error of
    the difference (the rule of Breiman et al., Classification and Regression Trees, 1984, chooses the simpler model).
    Two predictions are added, one correct and one wrong, with the mean confidence (Laplace's rule of succession): even
    if all predictions were correct, the next one may be wrong.

    Args:
        confidences: of the same predictions in the same order, at any temperature.

    Example:
        >>> correct = np.array([1, 1, 1, 0] * 1000)  # three of four are correct: the odds are 3, which is exp(2 / T)
        >>> found = best_temperature(lambda t: Confidences(np.full(4000, 1 / (1 + np.exp(-2 / t))), correct))
        >>> round(found, 2), round(2 / float(np.log(3)), 2)
        (1.82, 1.82)
        >>> best_temperature(lambda t: Confidences(np.full(8, 1 / (1 + np.exp(-2 / t))), correct[:8]))
        1.0
    """

    def losses(temperature: float) -> _Floats:
        found, correct = confidences(temperature)
        found = np.append(found, [found.mean()] * 2)
        squares: _Floats = (found - np.append(correct, [1, 0])) ** 2
        return squares

    fitted = minimize_scalar(
        lambda log_temperature: float(losses(np.exp(log_temperature)).mean()),
        bounds=(np.log(_LOW), np.log(_HIGH)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    best = round(float(np.exp(fitted.x)), 4)
    worse = losses(1.0) - losses(best)
    return best if worse.mean() > worse.std() / np.sqrt(len(worse)) else 1.0


def _run_model(predictor: Predictor, documents: Sequence[Document]) -> tuple[list[DocumentOutputs], list[Confidences]]:
    """Return the outputs for as many documents as are needed, and the confidences at a temperature of 1."""
    plain = _at_temperature(predictor.processor, 1.0)
    outputs: list[DocumentOutputs] = []
    found: list[Confidences] = []
    size = count = 0
    for chunk in in_chunks(documents, size=_DOCUMENTS_AT_ONCE):
        of_chunk = list(predictor.model_outputs(chunk))
        for one, confidences in zip(of_chunk, _confidences(plain, of_chunk), strict=True):
            outputs.append(one)
            found.append(confidences)
            count += len(confidences.correct)
            size += sum(array.nbytes for output in one.outputs for array in output.values())
            if count >= PREDICTIONS or size >= KEPT_BYTES:
                return outputs, found
    return outputs, found


def _at_temperature(processor: Processor, temperature: float) -> Processor:
    """Return the processor at a temperature, without a threshold for scores."""
    other = with_task(processor, _calibrated(processor.task).with_temperature(temperature))
    steps = [step for step in processor.postprocess if not isinstance(step, MinScore)]
    other.postprocess = Compose(steps, kind=PostTransform)
    return other


def _confidences(processor: Processor, outputs: Sequence[DocumentOutputs]) -> list[Confidences]:
    """Return what `metrics.Calibration` compares of each document."""
    calibration = document_metric(processor.task.needs).further["calibration"]
    found: list[Confidences] = []
    for one, document in zip(outputs, processor.interpret_outputs(outputs), strict=True):
        if (gold := one.encoded.document.gold) is None:
            raise InvalidDocumentError(f"document {document.id!r} has no gold to fit a temperature to")
        seen = calibration.view(processor.postprocess(document), gold)
        found.append(Confidences(*(np.array(one, dtype=np.float64) for one in seen)))
    return found
