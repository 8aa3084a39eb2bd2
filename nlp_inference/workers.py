"""Batches side by side: several workers, each with its share of the threads."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar

from nlp_inference.backends.base import Backend

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 8
"""By default: more would wait for each other's turn at the interpreter, and get more threads each instead."""


class Results(Iterator[R]):
    """What comes of batches, in their order: those that are running, or those that run when they are asked for.

    Args:
        batches: what is still to come.

    Example:
        >>> list(Results([lambda: "one", lambda: "two"]))
        ['one', 'two']
    """

    def __init__(self, batches: Sequence[Future[R] | Callable[[], R]]) -> None:
        self._left = deque(batches)

    def __next__(self) -> R:
        if not self._left:
            raise StopIteration
        batch = self._left.popleft()
        return batch.result() if isinstance(batch, Future) else batch()

    def close(self) -> None:
        """Give up what has not begun."""
        while self._left:
            batch = self._left.popleft()
            if isinstance(batch, Future):
                batch.cancel()


class Workers:
    """Runs batches of one model at the same time, on threads of this process, which share its weights.

    Two batches on one thread each are done sooner than one after the other on two: a thread that works alone waits for
    no other at the end of each operation. A single batch gets all threads.

    They are started when they are first needed, again in a process that was forked, and not pickled.

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
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def map(self, run: Callable[[T], R], batches: Sequence[T], *, alone: bool = True) -> "Results[R]":
        """Run each batch; the results come in the order of the batches.

        Several batches begin now, beside what the caller does next. A single one, or one worker with many threads, runs
        in the caller's thread when its result is asked for.

        Args:
            run: what to do with a batch.
            batches: what to do it with.
            alone: whether no other batches come beside these.
        """
        if (alone and len(batches) < 2) or (self.count == 1 and self.backend.threads > 1):
            return Results([partial(run, batch) for batch in batches])
        pool = self._started()
        return Results([pool.submit(run, batch) for batch in batches])

    def close(self) -> None:
        """Let the threads go; they are started again if there is more to do."""
        pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}

    def _started(self) -> ThreadPoolExecutor:
        if self._pool is None or self._process != os.getpid():  # the threads of a parent stay in the parent
            self._pool, self._process = ThreadPoolExecutor(self.count, thread_name_prefix="nlp-worker"), os.getpid()
            if self.count > 1:
                self._share_out_threads(self._pool)
        return self._pool

    def _share_out_threads(self, pool: ThreadPoolExecutor) -> None:
        all_there = threading.Barrier(self.count)  # so that each of them begins once
        for begun in [pool.submit(self._begin, all_there) for _ in range(self.count)]:
            begun.result()
        self.backend.use_threads(self.backend.threads)  # of the caller, whose share a library may have changed too

    def _begin(self, all_there: threading.Barrier) -> None:
        all_there.wait()
        self.backend.use_threads(self.backend.threads // self.count)
