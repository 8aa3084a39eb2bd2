"""Ctrl-C between two records: libraries turn a KeyboardInterrupt in their midst into errors of their own.

pydantic makes it a `PydanticSerializationError`, for one; raised so while a document is predicted, it would be recorded
as the document's failure.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ASK = b"stopping when the documents under way are predicted; Ctrl-C again stops at once\n"


@contextmanager
def stopping_between_records() -> Iterator[Callable[[], None]]:
    """Give what to call before each record is written: after Ctrl-C, it raises `KeyboardInterrupt`.

    A second Ctrl-C raises it wherever the program is. Outside the main thread nothing changes.
    """
    asked = threading.Event()

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        os.write(2, _ASK)  # a handler must not use what it may have interrupted

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    usual = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread() and usual is signal.default_int_handler
    if mine:
        signal.signal(signal.SIGINT, ask)
    try:
        yield check
    finally:
        if mine:
            signal.signal(signal.SIGINT, usual)
