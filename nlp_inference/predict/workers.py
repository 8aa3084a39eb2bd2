"""Batches side by side: several workers, each with its share of the threads."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar

from nlp_inference._utils.forks import ForkSafeLock, check_fork, generation
from nlp_inference.backends.base import Backend
from nlp_inference.errors import ForkedProcessError

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 8
"""By default: more would wait for each other's turn at the interpreter, and get more threads each instead."""


class Results(Iterator[R]):
    """What comes of batches, in their order: those that are running, or those that run when they are asked for.

    Args:
        batches: what is still to come.

    Raises:
        ForkedProcessError: by `next`, if the threads that run the batches stayed in the process that forked this one.

    Example:
        >>> list(Results([lambda: "one", lambda: "two"]))
        ['one', 'two']
    """

    def __init__(self, batches: Sequence[Future[R] | Callable[[], R]]) -> None:
        self._left = deque(batches)
        self._generation = generation()

    def __next__(self) -> R:
        if not self._left:
            raise StopIteration
        if self._generation != generation():
            raise ForkedProcessError(
                "these predictions were begun in the process that forked this one, whose threads are not here; predict "
                "again in this process"
            )
        batch = self._left.popleft()
        return batch.result() if isinstance(batch, Future) else batch()

    def close(self) -> None:
        """Give up what has not begun."""
        while self._left:
            batch = self._left.popleft()
            if (
                isinstance(batch, Future) and self._generation == generation()
            ):  # its lock may be held for ever in a fork
                batch.cancel()


class Workers:
    """Runs batches of one model at the same time, on threads of this process, which share its weights.

    Two batches on one thread each are done sooner than one after the other on two: a thread that works alone waits for
    no other at the end of each operation. A single batch gets all threads.

    They are started when they are first needed, and again after `close`. Several threads may call `map` and `close` at
    the same time: `close` lets the batches that began before it finish. Workers may be pickled, without their threads.

    A forked process starts workers of its own, and runs every batch on them, also a single one: an OpenMP runtime that
    the forking thread has used waits in the child for threads that are not there.

    Args:
        backend: whose `threads` are shared out, and whose `forward` may be called from several threads.
        count: how many; `None` takes one for each thread, up to `MOST_WORKERS`.

    Example:
        >>> class Doubling:
        ...     threads = 2
        ...     def use_threads(self, count): pass
        >>> with Workers(Doubling()) as workers:
        ...     list(workers.map(lambda batch: 2 * batch, [1, 2, 3]))
        [2, 4, 6]
    """

    def __init__(self, backend: Backend, *, count: int | None = None) -> None:
        self.backend = backend
        self.count = max(1, min(backend.threads, MOST_WORKERS) if count is None else min(backend.threads, count))
        self._without_threads()

    def _without_threads(self) -> None:
        self._lock = ForkSafeLock()
        self._pool: ThreadPoolExecutor | None = None
        self._generation = generation()  # of the threads of the pool

    def map(self, run: Callable[[T], R], batches: Sequence[T], *, alone: bool = True) -> "Results[R]":
        """Run each batch; the results come in the order of the batches.

        Several batches begin now, beside what the caller does next. A single one, or one worker with many threads, runs
        in the caller's thread when its result is asked for.

        Args:
            run: what to do with a batch.
            batches: what to do it with.
            alone: whether no other batches come beside these.

        Raises:
            ForkedProcessError: this process was forked in a state in which it cannot predict.
        """
        check_fork()
        in_this_thread = (alone and len(batches) < 2) or (self.count == 1 and self.backend.threads > 1)
        if in_this_thread and not generation():
            return Results([partial(run, batch) for batch in batches])
        with self._lock:  # so that no other thread shuts the pool down in between
            pool = self._started()
            return Results([pool.submit(run, batch) for batch in batches])

    def close(self) -> None:
        """Let the batches that began finish, and the threads go; they are started again if there is more to do."""
        with self._lock:
            pool, self._pool = self._pool, None
            ours = self._generation == generation()  # the threads of a parent stay in the parent
        if pool is not None and ours:
            pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"backend": self.backend, "count": self.count}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._without_threads()

    def _started(self) -> ThreadPoolExecutor:
        if self._pool is None or self._generation != generation():
            pool = ThreadPoolExecutor(self.count, thread_name_prefix="nlp-worker")
            if self.count > 1:
                self._share_out_threads(pool)
            self._pool, self._generation = pool, generation()
        return self._pool

    def _share_out_threads(self, pool: ThreadPoolExecutor) -> None:
        all_there = threading.Barrier(self.count)  # so that each of them begins once
        try:
            for begun in [pool.submit(self._begin, all_there) for _ in range(self.count)]:
                begun.result()
        except BaseException:
            all_there.abort()  # those that wait for one that cannot be started
            pool.shutdown()
            raise
        self.backend.use_threads(self.backend.threads)  # of the caller, whose share a library may have changed too

    def _begin(self, all_there: threading.Barrier) -> None:
        all_there.wait()
        self.backend.use_threads(self.backend.threads // self.count)
