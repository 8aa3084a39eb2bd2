"""Tolerances within which two predictions count as equal, by backend and precision."""

from nlp_inference.backends.descriptors import Tolerance, known_backend, tolerances
from nlp_inference.errors import ArtefactError

__all__ = ["Tolerance", "tolerance_between", "tolerance_of"]


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
