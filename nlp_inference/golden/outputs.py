"""What a golden record keeps of the arrays that a model gives: every number, as long as a file can hold them."""

from dataclasses import dataclass
from hashlib import sha256
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference.golden.schema import GoldenRecord, Output

KEPT_NUMBERS = 2**20
"""About how many numbers one file keeps at most, in 5.6 MB."""

_SHARE = 32
"""One array may take one of so many parts of what is left: 512 tokens of 64 labels at first, less when many came."""

_NUMBER = np.dtype("<f4")


def whole_output(array: NDArray[Any]) -> Output:
    """Every value of an array that a model gave.

    Example:
        >>> output = whole_output(np.array([[0.5, -2.0]], dtype=np.float32))
        >>> output.shape, output.stretch, output.largest, numbers_of(output).tolist()
        ((1, 2), 1, 2.0, [0.5, -2.0])
    """
    values = np.ascontiguousarray(array)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    numbers = _in_single_precision(values.ravel())
    return Output(
        shape=values.shape,
        dtype=values.dtype.name,
        digest=sha256(values.tobytes()).hexdigest(),
        largest=float(np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0)),
        numbers=numbers.tobytes(),
    )


def numbers_of(output: Output) -> NDArray[np.float64]:
    """The numbers that are kept of an output: its values, or one weighed sum for each stretch of them."""
    return np.frombuffer(output.numbers, dtype=_NUMBER).astype(np.float64)


def summed(output: Output, *, stretch: int) -> Output:
    """A whole output with one weighed sum in the place of each `stretch` consecutive values.

    The weights tell the values of a stretch apart, so that two that change places change the sum.
    """
    if stretch == output.stretch:
        return output
    values = numbers_of(output)
    stretches = np.pad(values, (0, -len(values) % stretch)).reshape(-1, stretch)
    with np.errstate(invalid="ignore"):  # infinities of both signs have no sum
        sums = (stretches * fixed_weights(stretch)).sum(axis=1)
    return output.model_copy(update={"stretch": stretch, "numbers": _in_single_precision(sums).tobytes()})


def fixed_weights(count: int) -> NDArray[np.float64]:
    """Numbers from 1 to 2 of either sign, the same everywhere and always; no change of one value is lost in a sum.

    They are those of SplitMix64 with the seed 0: G. L. Steele, D. Lea and C. H. Flood, Fast splittable pseudorandom
    number generators, OOPSLA 2014, https://doi.org/10.1145/2660193.2660195

    Example:
        >>> fixed_weights(3).round(3).tolist()
        [1.883, -1.432, 1.026]
    """
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    sizes = 1 + (mixed >> np.uint64(12)) / 2.0**52
    return np.where(mixed & np.uint64(1), sizes, -sizes)


@dataclass
class Allowance:
    """How many numbers a file may still keep. An array that is too large for its part of them is kept in sums.

    Example:
        >>> allowance = Allowance(left=64)
        >>> allowance.spent_on_output(whole_output(np.zeros(6))).stretch, allowance.left
        (3, 62)
    """

    left: int = KEPT_NUMBERS

    def spent_on(self, record: GoldenRecord) -> GoldenRecord:
        """The record, with as many numbers as its outputs may have."""
        if record.logits is None:
            return record
        windows = tuple(
            {name: self.spent_on_output(output) for name, output in window.items()} for window in record.logits
        )
        return record.model_copy(update={"logits": windows})

    def spent_on_output(self, output: Output) -> Output:
        """The output, with as many numbers as it may have."""
        most = max(1, self.left // _SHARE)
        kept = summed(output, stretch=max(1, ceil(prod(output.shape) / most)))
        self.left -= len(kept.numbers) // _NUMBER.itemsize
        return kept


def as_recorded(actual: GoldenRecord, recorded: GoldenRecord) -> GoldenRecord:
    """What there is now, with each output as far as it was recorded; one of the same bits as it was recorded."""
    if actual.logits is None or recorded.logits is None:
        return actual
    windows = [*actual.logits]
    for number, (now, then) in enumerate(zip(actual.logits, recorded.logits, strict=False)):
        windows[number] = {name: _as_recorded(output, then.get(name, output)) for name, output in now.items()}
    return actual.model_copy(update={"logits": tuple(windows)})


def _as_recorded(actual: Output, recorded: Output) -> Output:
    if (actual.shape, actual.dtype, actual.digest) == (recorded.shape, recorded.dtype, recorded.digest):
        return recorded
    return summed(actual, stretch=recorded.stretch) if actual.shape == recorded.shape else actual


def _in_single_precision(numbers: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for it becomes infinite
        return numbers.astype(_NUMBER)
