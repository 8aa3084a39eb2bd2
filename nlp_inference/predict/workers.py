"""Parallel batches: several workers, each with its share of the threads."""

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

MAX_WORKERS = 8
"""The default limit: more workers would wait for the interpreter lock, so each gets more threads instead."""


class Results(Iterator[R]):
    """The results of batches in order; batches run in the background, or when `next` is called.

    Args:
        batches: futures, or functions to call.

    Raises:
        ForkedProcessError: by `next`, if the threads that run the batches are in the process that forked this one.

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
                "these predictions were started in the process that forked this one, whose threads are not available "
                "here; predict again in this process"
            )
        batch = self._left.popleft()
        return batch.result() if isinstance(batch, Future) else batch()

    def close(self) -> None:
        """Cancel the batches that have not started."""
        while self._left:
            batch = self._left.popleft()
            if isinstance(batch, Future) and self._generation == generation():  # in a fork, its lock may stay locked
                batch.cancel()


class Workers:
    """Threads of this process that run batches of one model in parallel and share its weights.

    Two batches on one thread each are faster than one after the other on two threads, because a single thread does not
    synchronize after each operation. A single batch gets all threads.

    The threads start on first use, and again after `close`. Several threads may call `map` and `close` concurrently:
    `close` waits for the batches that started before it. Workers may be pickled, without their threads.

    A forked process starts its own workers and runs every batch on them, even a single one: an OpenMP runtime that the
    forking thread has used would wait in the child for threads that do not exist.

    Args:
        backend: the backend whose `threads` are divided, and whose `forward` is called from several threads.
        count: the number of workers; `None` means one per thread, up to `MAX_WORKERS`.

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
        self.count = max(1, min(backend.threads, MAX_WORKERS) if count is None else min(backend.threads, count))
        self._without_threads()

    def _without_threads(self) -> None:
        self._lock = ForkSafeLock()
        self._pool: ThreadPoolExecutor | None = None
        self._generation = generation()  # of the threads of the pool

    def map(self, run: Callable[[T], R], batches: Sequence[T], *, alone: bool = True) -> "Results[R]":
        """Run each batch and return the results in the order of the batches.

        Several batches start immediately, in the background. A single batch, or the batches of one worker with many
        threads, run in the caller's thread when their result is requested.

        Args:
            run: the function that runs a batch.
            batches: the batches.
            alone: whether no other batches run at the same time.

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
        """Wait for the batches that have started, and stop the threads. The next `map` starts them again."""
        with self._lock:
            pool, self._pool = self._pool, None
            ours = self._generation == generation()  # not threads of a parent process
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
                self._divide_threads(pool)
            self._pool, self._generation = pool, generation()
        return self._pool

    def _divide_threads(self, pool: ThreadPoolExecutor) -> None:
        all_started = threading.Barrier(self.count)  # so that each thread runs `_begin` once
        try:
            for begun in [pool.submit(self._begin, all_started) for _ in range(self.count)]:
                begun.result()
        except BaseException:
            all_started.abort()  # release threads that wait for one that failed to start
            pool.shutdown()
            raise
        self.backend.use_threads(self.backend.threads)  # of the caller, which a library may have changed too

    def _begin(self, all_started: threading.Barrier) -> None:
        all_started.wait()
        self.backend.use_threads(self.backend.threads // self.count)
