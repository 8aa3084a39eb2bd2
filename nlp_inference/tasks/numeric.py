"""Arithmetic that several tasks use."""

from math import floor, frexp

import numpy as np
from numpy.typing import NDArray

CERTAIN = np.float32(30)
"""A logit for which a softmax or a sigmoid is almost 1."""


def log_softmax(logits: NDArray[np.float32], *, temperature: float = 1.0) -> NDArray[np.float32]:
    """Return log-probabilities over the last axis, of logits divided by `temperature`."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    if temperature != 1:
        shifted = shifted / np.float32(temperature)
    result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def sigmoid(logits: NDArray[np.float32], *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of logits divided by `temperature`, each by itself; exact for large logits too.

    Example:
        >>> sigmoid(np.float32([0, 800, -800])).tolist()
        [0.5, 1.0, 0.0]
    """
    result: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64) / temperature))
    return result


def relative_bin(value: float) -> str:
    """Name the range that a number is in: four ranges from a power of two to the next, and one around 0.

    Example:
        >>> relative_bin(0.0), relative_bin(1.1), relative_bin(-3.6)
        ('0', '1 to 1.25', '-3.5 to -4')
    """
    mantissa, exponent = frexp(value)
    if abs(value) < 1e-3:
        return "0"
    quarter = floor((abs(mantissa) - 0.5) * 8)
    low, high = ((0.5 + step / 8) * 2.0**exponent * (1 if value > 0 else -1) for step in (quarter, quarter + 1))
    return f"{low:g} to {high:g}"
