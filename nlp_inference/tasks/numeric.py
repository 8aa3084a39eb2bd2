"""The little arithmetic that tasks share."""

import numpy as np
from numpy.typing import NDArray

CERTAIN = np.float32(30)
"""A logit that makes a softmax all but one."""


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
