"""How uncertain a prediction is, from the probabilities of the decisions that it consists of."""

from functools import singledispatch
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import (
    DocumentOutputs,
    MultiLabelClassification,
    TextClassification,
    TokenClassification,
)
from nlp_inference.tasks.numeric import log_softmax, sigmoid
from nlp_inference.tasks.units import read_units

Sort = Literal["entropy", "margin", "random"]
"""The order of texts: by the entropy of their decisions, by the margin between the two best choices, or at random."""

SORTS: tuple[Sort, ...] = get_args(Sort)

MOST_UNCERTAIN = 3
"""The uncertainty of a text is the mean over its most uncertain decisions, so that its length matters little."""

Probabilities = NDArray[np.float64]


@singledispatch
def decision_probabilities(task: Task, outputs: DocumentOutputs) -> Probabilities:  # noqa: ARG001 - of the others
    """Return the probability of each choice for each decision of a prediction, `[decisions, choices]`.

    A task of another package registers its own: `@decision_probabilities.register`.

    Args:
        task: the task.
        outputs: the model outputs for a document.

    Raises:
        InvalidSpecError: the task makes no decisions with probabilities.
    """
    raise InvalidSpecError(
        f"the predictions of the task {task.name!r} have no probabilities to sort by; use --sort random, or register "
        "nlp_training.annotate.decision_probabilities for it"
    )


@decision_probabilities.register
def _of_tags(task: TokenClassification, outputs: DocumentOutputs) -> Probabilities:
    """Return the probabilities of the tags of each word, from its first token."""
    units = read_units(outputs.encoded, are_tokens=task.aggregation == "none")
    logits = outputs.of_tokens("logits")[units.tokens]
    return np.exp(log_softmax(logits, temperature=task.temperature)).astype(np.float64)


@decision_probabilities.register
def _of_label(task: TextClassification, outputs: DocumentOutputs) -> Probabilities:
    """Return the probabilities of the labels, for the only decision."""
    logits = outputs.of_text("logits", task.pooling)[None]
    return np.exp(log_softmax(logits, temperature=task.temperature)).astype(np.float64)


@decision_probabilities.register
def _of_labels(task: MultiLabelClassification, outputs: DocumentOutputs) -> Probabilities:
    """Return the probability that a label applies, and that it does not, for each label."""
    scores = sigmoid(outputs.of_text("logits", task.pooling), temperature=task.temperature)
    return np.stack([scores, 1 - scores], axis=1)


def uncertainty(probabilities: Probabilities, sort: Sort) -> float:
    """Return the uncertainty of a prediction, from 0 to 1: the mean over its most uncertain decisions.

    Entropy and margin are two of the measures that Settles compares (2009,
    https://burrsettles.com/pub/settles.activelearning.pdf).

    Args:
        probabilities: `[decisions, choices]`; a text without any is certain.
        sort: `entropy`, divided by its greatest value, or `margin`, one minus the distance of the two best choices.

    Example:
        >>> certain, open_ = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
        >>> [round(uncertainty(one, "entropy"), 6) for one in (certain, open_)]
        [0.0, 1.0]
        >>> uncertainty(np.array([[0.7, 0.2, 0.1]]), "margin")
        0.5
    """
    if not len(probabilities) or probabilities.shape[1] < 2:
        return 0.0
    if sort == "margin":
        best = np.sort(probabilities, axis=1)
        values = 1 - (best[:, -1] - best[:, -2])
    else:
        logs = np.log(np.maximum(probabilities, 1e-12))
        values = -(probabilities * logs).sum(axis=1) / np.log(probabilities.shape[1])
    return float(np.sort(values)[-MOST_UNCERTAIN:].mean())
