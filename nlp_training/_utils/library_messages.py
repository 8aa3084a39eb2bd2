"""Without the log lines and warnings of libraries about their own parts."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_library_messages() -> Iterator[None]:
    """Show no log line below an error, and no warning, meanwhile.

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
