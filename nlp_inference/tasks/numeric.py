"""Arithmetic that several tasks use."""

import numpy as np
from numpy.typing import NDArray

CERTAIN = np.float32(30)
"""A logit for which the softmax is almost 1."""


def log_softmax(logits: NDArray[np.float32], *, temperature: float = 1.0) -> NDArray[np.float32]:
    """Return log-probabilities over the last axis, of logits divided by `temperature`."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    if temperature != 1:
        shifted = shifted / np.float32(temperature)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
