"""Suppression of log lines and warnings that libraries emit about themselves."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_library_messages() -> Iterator[None]:
    """Suppress warnings and log lines below the level error inside the block.

    Example:
        >>> with without_library_messages():
        ...     warnings.warn("a package that is not needed is not installed")
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
