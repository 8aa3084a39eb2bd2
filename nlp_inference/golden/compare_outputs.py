"""Where what a model gave differs from what was recorded, number by number."""

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
"""Significant digits of a value that is shown: what single precision has, all but the last bit."""

Windows = Sequence[Mapping[str, Output]]
"""The outputs by name, for each window of a document."""


class Place(NamedTuple):
    """Where two values differ, and both."""

    where: str
    expected: Any
    actual: Any


def find_in_logits(one: Windows, other: Windows, tolerance: Tolerance) -> Place | None:
    """The first place at which the outputs of two records of one document differ by more than the tolerance.

    Args:
        one: as recorded.
        other: as it is now, each output kept as far as the recorded one.
        tolerance: of every number that is not a whole one.
    """
    if len(one) != len(other):
        return Place("number of windows", len(one), len(other))
    for number, (expected, actual) in enumerate(zip(one, other, strict=True)):
        if [*expected] != [*actual]:
            return Place(f"window {number}, names of the outputs", [*expected], [*actual])
        for name in expected:
            found = _find_in_output(expected[name], actual[name], tolerance)
            if found is not None:
                return found._replace(where=f"window {number}, {name}, {found.where}")
    return None


def deviation(one: Windows, other: Windows) -> float:
    """How far the numbers of two records that agree lie apart, at most; those that stand for several are left out."""
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


def _find_in_output(one: Output, other: Output, tolerance: Tolerance) -> Place | None:
    if (one.shape, one.digest, one.dtype) == (other.shape, other.digest, other.dtype):
        return None
    for name in ("shape", "stretch"):
        if getattr(one, name) != getattr(other, name):
            return Place(name, getattr(one, name), getattr(other, name))
    exact = one.dtype[:3] in {"int", "uin", "boo"}
    found = _first_far(one, other, _EXACT if exact else tolerance)
    return Place("digest", one.digest, other.digest) if exact and found is None else found


def _first_far(one: Output, other: Output, tolerance: Tolerance) -> Place | None:
    expected, actual = numbers_of(one), numbers_of(other)
    with np.errstate(invalid="ignore"):  # the distance of two infinities is none
        near = np.abs(expected - actual) <= np.where(np.isfinite(expected), _bounds(one, expected, tolerance), 0.0)
    near |= (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    if near.all():
        return None
    index = int(np.argmin(near))
    return Place(_where(one, index), _shown(expected[index]), _shown(actual[index]))


def _bounds(output: Output, numbers: NDArray[np.float64], tolerance: Tolerance) -> NDArray[np.float64] | float:
    """How far each number may lie from the recorded one.

    A sum of n values whose small changes have nothing to do with each other moves as the square root of n, and the
    weights are 2 at most; each value is taken for as large as the largest one.
    """
    if output.stretch == 1:
        return tolerance.absolute + tolerance.relative * np.abs(numbers)
    return 2 * sqrt(output.stretch) * (tolerance.absolute + tolerance.relative * output.largest)


def _where(output: Output, index: int) -> str:
    first = index * output.stretch
    last = min(first + output.stretch, prod(output.shape)) - 1
    start, end = ([int(at) for at in np.unravel_index(place, output.shape)] for place in (first, last))
    return f"value {start}" if output.stretch == 1 else f"values {start} to {end}, weighed sum"


def _shown(number: float) -> float | str:
    """As JSON can hold it."""
    return float(f"{number:.{_DIGITS}g}") if np.isfinite(number) else str(float(number))
