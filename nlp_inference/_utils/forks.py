"""Fork safety: prevention of deadlocks in a forked process.

Only the thread that forks continues in the child. A lock that another thread held, in Python or in a native library
(the primitive cache of oneDNN, a tokenizer, ONNX Runtime), is never released there, so that the child waits forever.
Therefore a fork waits until no thread is inside `native_code()`, and the locks of this library are new in the child.

Source: https://docs.python.org/3/library/os.html#os.register_at_fork
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

from nlp_inference.errors import ForkedProcessError

LONGEST_WAIT = 60.0
"""Seconds that a fork waits for the native code of other threads; after that, the child cannot predict."""


class ForkSafeLock:
    """A lock that is new, and free, in a forked process.

    Example:
        >>> lock = ForkSafeLock()
        >>> with lock:
        ...     "held"
        'held'
    """

    def __init__(self) -> None:
        register()
        self._lock = threading.Lock()
        _STATE.locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Replace the lock by a free one; called in the child."""
        self._lock = threading.Lock()


class _State:
    """State of the threads and forks of this process."""

    def __init__(self) -> None:
        self.locks: WeakSet[ForkSafeLock] = WeakSet()
        self.forks = 0  # number of forks between the first process and this one
        self.incomplete = False  # whether native code was running when this process was forked
        self.begin()

    def begin(self) -> None:
        self.changed = threading.Condition()
        self.inside = 0  # number of threads in native code
        self.forking = 0  # number of threads that fork or wait to fork

    @property
    def depth(self) -> int:
        """The nesting depth of `native_code` in this thread."""
        return getattr(_THREAD, "depth", 0)


_THREAD = threading.local()
_STATE = _State()


def generation() -> int:
    """Return the number of forks between the first process and this one since `register` was called.

    Threads and their resources belong to one generation. A process id may be reused, this number is not.
    """
    register()
    return _STATE.forks


def check_fork() -> None:
    """Raise an error if this process was forked in a state in which it cannot predict.

    Raises:
        ForkedProcessError: native code was running in another thread of the parent, and did not end in time.
    """
    if _STATE.incomplete:
        raise ForkedProcessError(
            "this process was forked while another thread of its parent was predicting and did not finish within "
            f"{LONGEST_WAIT:g} seconds, so locks of native libraries may be held forever; fork while no thread "
            "predicts, or start processes with the method 'spawn' or 'forkserver'"
        )


@contextmanager
def native_code() -> Iterator[None]:
    """Delay forks of this process by other threads while the block runs, after a fork in progress. May be nested."""
    state, depth = _STATE, _STATE.depth
    if not depth:
        with state.changed:
            state.changed.wait_for(lambda: not state.forking)
            state.inside += 1
    _THREAD.depth = depth + 1
    try:
        yield
    finally:
        _THREAD.depth = depth
        if not depth:
            with state.changed:
                state.inside -= 1
                state.changed.notify_all()


def register() -> None:
    """Register the fork hooks once, for the first lock or Predictor; importing this module has no effect."""
    with suppress(IndexError):
        _HOOKS.pop()()  # pop is atomic, so only one thread registers


def _register_at_fork() -> None:
    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


_HOOKS = [_register_at_fork]


def _before() -> None:
    """Wait until no other thread is in native code. The thread that forks is itself in Python code."""
    with _STATE.changed:
        _STATE.forking += 1
        _STATE.inside -= int(_STATE.depth > 0)
        _STATE.changed.notify_all()
        _THREAD.in_time = False
        _THREAD.in_time = _STATE.changed.wait_for(lambda: not _STATE.inside, timeout=LONGEST_WAIT)


def _after_in_parent() -> None:
    with _STATE.changed:
        _STATE.forking -= 1
        _STATE.inside += int(_STATE.depth > 0)
        _STATE.changed.notify_all()


def _after_in_child() -> None:
    _STATE.begin()
    _STATE.inside = int(_STATE.depth > 0)
    _STATE.forks += 1
    _STATE.incomplete = _STATE.incomplete or not getattr(_THREAD, "in_time", True)
    for lock in list(_STATE.locks):
        lock.renew()
