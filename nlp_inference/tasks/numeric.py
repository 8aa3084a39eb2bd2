"""The little arithmetic that tasks share."""

import numpy as np
from numpy.typing import NDArray

CERTAIN = np.float32(30)
"""A logit that makes a softmax all but one."""


def log_softmax(logits: NDArray[np.float32], *, temperature: float = 1.0) -> NDArray[np.float32]:
    """Log-probabilities over the last axis, of logits divided by `temperature`."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    if temperature != 1:
        shifted = shifted / np.float32(temperature)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
