"""Handling of Ctrl-C between two records.

Libraries can turn a `KeyboardInterrupt` into another error, such as a `PydanticSerializationError` of pydantic, which
would be recorded as the failure of the current document.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NOTICE = b"stopping after the current documents; press Ctrl-C again to stop immediately\n"


@contextmanager
def stopping_between_records() -> Iterator[Callable[[], None]]:
    """Yield a function to call before each record is written, which raises `KeyboardInterrupt` after Ctrl-C.

    A second Ctrl-C raises it immediately. Outside the main thread, the signal handler is not changed.
    """
    requested = threading.Event()

    def request_stop(*_: object) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()
        os.write(2, _NOTICE)  # a signal handler must not use objects that it may have interrupted

    def check() -> None:
        if requested.is_set():
            raise KeyboardInterrupt

    previous = signal.getsignal(signal.SIGINT)
    replaces = threading.current_thread() is threading.main_thread() and previous is signal.default_int_handler
    if replaces:
        signal.signal(signal.SIGINT, request_stop)
    try:
        yield check
    finally:
        if replaces:
            signal.signal(signal.SIGINT, previous)
