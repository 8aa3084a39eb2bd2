"""How far numbers may lie apart and still be the same prediction, by backend and precision."""

from types import MappingProxyType
from typing import NamedTuple

from nlp_inference.errors import ArtefactError


class Tolerance(NamedTuple):
    """Two logits agree if they differ by `absolute + relative * |recorded|` at most, two scores by `score` at most."""

    absolute: float
    relative: float
    score: float


TOLERANCES = MappingProxyType(
    {
        ("torch", "float32"): Tolerance(1e-3, 1e-3, 1e-3),
        ("torch", "float16"): Tolerance(3e-2, 2e-2, 5e-2),
        ("torch", "bfloat16"): Tolerance(2.5e-1, 5e-2, 2e-1),
        ("onnx", "float32"): Tolerance(1e-3, 1e-3, 1e-3),
        ("onnx", "float16"): Tolerance(3e-2, 2e-2, 5e-2),
        ("onnx", "int8"): Tolerance(1.0, 5e-2, 3e-1),
    }
)
"""Whole numbers, spans and labels have none. Why these: one rounding costs 2^-24, 2^-11 or 2^-8 of a value in float32,
float16 or bfloat16 (IEEE 754-2019, https://doi.org/10.1109/IEEESTD.2019.8766229; bfloat16 keeps 8 bits of significand),
and some layers add some tens of them, in an order that differs from machine to machine. Six layers (all-MiniLM-L6-v2,
logits from -13 to 10) were seen to move by 2e-5 with other kernels in float32, by 0.02 in float16 and by 0.16 in
bfloat16. Float32 has more room than that for deeper models and for GPUs that multiply in TF32. A softmax moves by half
of what its logits move by at most.

An int8 model has records of its own, made of itself; see `docs/onnx.md`. On one kind of CPU it repeats them to the last
bit. Elsewhere the last bit of a float32 decides now and then which of two 8-bit numbers an activation becomes, and a
step of those is a 255th of the largest activation: two graphs of the same six layers, whose float32 logits lie 3e-5
apart, were seen 0.4 apart in int8, in one case 1.0."""


def tolerance_between(recorded: tuple[str, str], running: tuple[str, str]) -> Tolerance:
    """The looser tolerance of two pairs of backend and precision.

    Raises:
        ArtefactError: no tolerance is stated for one of them.

    Example:
        >>> tolerance_between(("torch", "float32"), ("torch", "bfloat16")).score
        0.2
    """
    for pair in (recorded, running):
        if pair not in TOLERANCES:
            known = ", ".join(f"{backend} in {dtype}" for backend, dtype in TOLERANCES)
            raise ArtefactError(
                f"no tolerance is stated for the backend {pair[0]!r} in {pair[1]!r}; those that are known: {known}"
            )
    one, other = TOLERANCES[recorded], TOLERANCES[running]
    return Tolerance(*map(max, one, other))
