"""Tolerances within which two predictions count as equal, by backend and precision."""

from collections.abc import Callable

from nlp_inference.backends.descriptors import Tolerance, known_backend, tolerances
from nlp_inference.document.annotation import qualified
from nlp_inference.errors import ArtefactError

__all__ = ["Tolerance", "ValueUnit", "one_unit", "tolerance_between", "tolerance_of", "unit_of_head"]

ValueUnit = Callable[[str, float], float]
"""Returns the unit of a predicted value by its name and number; see `Task.value_unit`."""


def one_unit(name: str, value: float) -> float:  # noqa: ARG001 - a `ValueUnit`
    """Return 1: values are compared as they are."""
    return 1.0


def unit_of_head(unit: ValueUnit, head: str, name: str, value: float) -> float:
    """Return the unit of a value of a head, from the unit of values of all heads."""
    return unit(qualified(head, name), value)


def tolerance_of(backend: str, dtype: str) -> Tolerance:
    """Return the tolerance of a backend in one precision; see `nlp_inference.backends.descriptors`.

    Raises:
        ArtefactError: no tolerance is defined.

    Example:
        >>> tolerance_of("torch", "bfloat16").score
        0.2
    """
    descriptor = known_backend(backend)
    if descriptor is None or dtype not in descriptor.tolerances:
        known = ", ".join(f"{one} in {precision}" for one, precision in tolerances())
        raise ArtefactError(
            f"no tolerance is defined for the backend {backend!r} in {dtype!r}; tolerances are defined for {known}"
        )
    return descriptor.tolerances[dtype]


def tolerance_between(recorded: tuple[str, str], running: tuple[str, str]) -> Tolerance:
    """Return the greater tolerance of two pairs of backend and precision.

    Raises:
        ArtefactError: no tolerance is defined for one of them.

    Example:
        >>> tolerance_between(("torch", "float32"), ("torch", "bfloat16")).score
        0.2
    """
    one, other = tolerance_of(*recorded), tolerance_of(*running)
    return Tolerance(*map(max, one, other))
