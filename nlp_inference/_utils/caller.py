"""Warnings and notices attributed to the code that called this library."""

import inspect
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

_NOT_CALLERS = frozenset({"nlp_inference", "transformers", "contextlib"})
_ADVICE = "PyTorch was not found"


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning at the innermost line outside this library and transformers.

    The default filter of Python then shows it once per line of the caller.

    Args:
        message: text of the warning.
        category: class of the warning.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_caller("changed", UserWarning)
        >>> str(caught[0].message)
        'changed'
    """
    level, frame = 2, inspect.currentframe()
    frame = frame.f_back if frame is not None else None
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_CALLERS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=2 if frame is None else level)


@contextmanager
def without_torch_advice() -> Iterator[None]:
    """Suppress the advice of transformers to install PyTorch when this library imports it without torch.

    An installation without torch is supported. No logging level or environment variable is changed, and other log
    records pass. If transformers is already imported, this does nothing.
    """
    if "transformers" in sys.modules or ("torch" not in sys.modules and find_spec("torch") is not None):
        yield
        return
    logger = logging.getLogger("transformers")
    logger.addFilter(_is_no_advice)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_ADVICE)
