"""Processes that run the model, for more cores than one Python process uses well; one that ends is replaced."""

import logging
import multiprocessing
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from nlp_inference.encoding.input_rows import Row
from nlp_inference.errors import PredictionError
from nlp_inference.predict.route import TimedBatch
from nlp_inference.serving.models import ModelSource

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 3
_STOP_SECONDS = 5.0


class ModelProcesses:
    """Processes with a copy of a model each, which run batches for the worker threads of the server.

    The process of the server encodes, schedules and decodes. If a model process ends, such as when the system kills it
    for its memory, its batch runs in another one, and a new process takes its place. A batch that ends several
    processes runs row by row, so that only the row that causes it fails.

    The processes are spawned: a script that uses this class needs `if __name__ == "__main__":`.

    Args:
        source: the model. It is not verified again.
        count: the number of processes.
        threads: the CPU threads of each.
    """

    def __init__(self, source: ModelSource, *, count: int, threads: int) -> None:
        self._free: queue.Queue[_ModelProcess] = queue.Queue()
        self._closed = False
        self._all = [_ModelProcess(source, threads=threads) for _ in range(count)]
        for process in self._all:
            process.wait_until_loaded()
            self._free.put(process)

    @property
    def pids(self) -> list[int]:
        """The ids of the processes."""
        return [process.pid for process in self._all]

    def run(self, rows: Sequence[Row]) -> TimedBatch:
        """Run the model on one batch; see `Route.run`."""
        for _ in range(_ATTEMPTS):
            process = self._free.get()
            try:
                outputs = process.run(rows)
            except (EOFError, OSError):
                _LOGGER.warning("a model process ended with status %s; its batch runs again", process.status)
                threading.Thread(target=self._replace, args=[process], daemon=True).start()
            else:
                self._free.put(process)
                return outputs
        if len(rows) > 1:
            parts = [self.run([row]) for row in rows]
            return [part[0][0] for part in parts], sum(seconds for _, seconds in parts) / len(rows)
        return [PredictionError(f"{_ATTEMPTS} model processes ended when they ran this window")], 0.0

    def close(self) -> None:
        """End the processes."""
        self._closed = True
        for process in self._all:
            process.close()

    def _replace(self, process: "_ModelProcess") -> None:
        process.close()
        while not self._closed:
            process.start()
            with suppress(EOFError, OSError):
                process.wait_until_loaded()
                break
        self._free.put(process)


class _ModelProcess:
    """One process, and the connection to it."""

    def __init__(self, source: ModelSource, *, threads: int) -> None:
        self._source, self._threads = source, threads
        self._process: Any = None
        self.start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return int(self._process.pid)

    @property
    def status(self) -> int | None:
        """The exit status, if it ended."""
        self._process.join(_STOP_SECONDS)
        return self._process.exitcode  # type: ignore[no-any-return]  # a process of any context

    def start(self) -> None:
        """Start the process, which loads the model."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._source, self._threads), daemon=True)
        process.start()
        theirs.close()
        self._connection, self._process = ours, process

    def wait_until_loaded(self) -> None:
        """Wait until the model is loaded.

        Raises:
            EOFError: the process ended.
        """
        self._connection.recv()

    def run(self, rows: Sequence[Row]) -> TimedBatch:
        """Run one batch.

        Raises:
            EOFError, OSError: the process ended.
        """
        self._connection.send(list(rows))
        outputs: TimedBatch = self._connection.recv()
        return outputs

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, source: ModelSource, threads: int) -> None:
    """Run batches until the connection is closed."""
    with suppress(EOFError, OSError, KeyboardInterrupt):
        predictor = source.load(verify=False)
        predictor.backend.use_threads(threads)
        connection.send(None)
        while True:
            results, seconds = predictor.route.run(connection.recv())
            connection.send(([_sendable(result) for result in results], seconds))


def _sendable(result: Any) -> Any:
    """Return an error in a form that every process can read."""
    return PredictionError(f"{type(result).__name__}: {result}") if isinstance(result, Exception) else result
