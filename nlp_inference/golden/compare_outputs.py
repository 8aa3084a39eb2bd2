"""Comparison of model outputs with recorded outputs, number by number."""

from collections.abc import Mapping, Sequence
from math import prod, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.golden.outputs import numbers_of
from nlp_inference.golden.schema import Output
from nlp_inference.golden.tolerance import Tolerance

_EXACT = Tolerance(0.0, 0.0, 0.0)
_DIGITS = 7
"""Significant digits of a displayed value: the precision of a 32-bit float except for its last bit."""

Windows = Sequence[Mapping[str, Output]]
"""The outputs by name, for each window of a document."""


class RecordMismatch(NamedTuple):
    """The position at which two records differ, and both values."""

    where: str
    expected: Any
    actual: Any


def find_in_logits(one: Windows, other: Windows, tolerance: Tolerance) -> RecordMismatch | None:
    """Return the first position at which the outputs of two records of one document differ beyond the tolerance.

    Args:
        one: the recorded outputs.
        other: the current outputs, reduced as the recorded ones.
        tolerance: the tolerance of every number that is not an integer.
    """
    if len(one) != len(other):
        return RecordMismatch("number of windows", len(one), len(other))
    for number, (expected, actual) in enumerate(zip(one, other, strict=True)):
        if [*expected] != [*actual]:
            return RecordMismatch(f"window {number}, names of the outputs", [*expected], [*actual])
        for name in expected:
            found = _find_in_output(expected[name], actual[name], tolerance)
            if found is not None:
                return found._replace(where=f"window {number}, {name}, {found.where}")
    return None


def deviation(one: Windows, other: Windows) -> float:
    """Return the greatest difference of the values of two records that agree, except values recorded as sums."""
    pairs = (
        (expected, actual[name])
        for recorded, actual in zip(one, other, strict=True)
        for name, expected in recorded.items()
        if expected.stretch == 1
    )
    return max((_largest_deviation(expected, actual) for expected, actual in pairs), default=0.0)


def _largest_deviation(one: Output, other: Output) -> float:
    expected, actual = numbers_of(one), numbers_of(other)
    finite = np.isfinite(expected) & np.isfinite(actual)
    return float(np.abs(expected[finite] - actual[finite]).max(initial=0.0))


def _find_in_output(one: Output, other: Output, tolerance: Tolerance) -> RecordMismatch | None:
    if (one.shape, one.digest, one.dtype) == (other.shape, other.digest, other.dtype):
        return None
    for name in ("shape", "stretch"):
        if getattr(one, name) != getattr(other, name):
            return RecordMismatch(name, getattr(one, name), getattr(other, name))
    exact = one.dtype[:3] in {"int", "uin", "boo"}
    found = _first_far(one, other, _EXACT if exact else tolerance)
    return RecordMismatch("digest", one.digest, other.digest) if exact and found is None else found


def _first_far(one: Output, other: Output, tolerance: Tolerance) -> RecordMismatch | None:
    expected, actual = numbers_of(one), numbers_of(other)
    with np.errstate(invalid="ignore"):  # the difference of two infinities is NaN
        near = np.abs(expected - actual) <= np.where(np.isfinite(expected), _bounds(one, expected, tolerance), 0.0)
    near |= (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    if near.all():
        return None
    index = int(np.argmin(near))
    return RecordMismatch(_where(one, index), _shown(expected[index]), _shown(actual[index]))


def _bounds(output: Output, numbers: NDArray[np.float64], tolerance: Tolerance) -> NDArray[np.float64] | float:
    """Return the allowed difference of each number from the recorded one.

    If the changes of n values are independent, their sum changes with the square root of n. The weights are at most 2,
    and each value is assumed to be as large as the largest one.
    """
    if output.stretch == 1:
        return tolerance.absolute + tolerance.relative * np.abs(numbers)
    return 2 * sqrt(output.stretch) * (tolerance.absolute + tolerance.relative * output.largest)


def _where(output: Output, index: int) -> str:
    first = index * output.stretch
    last = min(first + output.stretch, prod(output.shape)) - 1
    start, end = ([int(axis) for axis in np.unravel_index(flat, output.shape)] for flat in (first, last))
    return f"value {start}" if output.stretch == 1 else f"values {start} to {end}, weighted sum"


def _shown(number: float) -> float | str:
    """Return the number in a form that JSON supports."""
    return float(f"{number:.{_DIGITS}g}") if np.isfinite(number) else str(float(number))
