"""`nlp-inference predict` in processes that are stopped at random moments: a driver for the tests.

`python killed_predictions.py MODEL SOURCE FOLDER NAME...`: for each kind of output, one prediction that nobody stops,
and some that are stopped once or twice, by SIGKILL or SIGINT, when the output has grown to a random size, and then go
on with `--resume`. Libraries are imported once; every prediction is a fork. What is printed is one JSON list with the
name of each output, how each of its processes ended, and the digest of what was written.
"""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from nlp_inference.backends import torch as _torch_backend  # noqa: F401 - imported before the forks
from nlp_inference.cli import app
from nlp_inference.document import inputs as items
from nlp_inference.files import parquet, reading, resuming, writing  # noqa: F401 - the same

torch.set_num_threads(1)
items.LOOK_AHEAD_DOCUMENTS = 40
writing.BYTES_OF_A_MEMBER = 20_000
parquet.ROWS_OF_A_PART, parquet.ROWS_OF_A_GROUP = 90, 40


def size(output: Path) -> int:
    """Bytes of a file, or of the files in a folder; none if there is nothing."""
    try:
        paths = [*output.iterdir()] if output.is_dir() else [output]
        return sum(path.stat().st_size for path in paths)
    except FileNotFoundError:
        return 0


def digest(output: Path) -> str:
    """Of the bytes of a file, or of those of each file in a folder with its name."""
    paths = sorted(output.iterdir()) if output.is_dir() else [output]
    content = [(path.name if output.is_dir() else "", hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _write_slowly() -> None:
    """A record takes its time, so that a parent that waits for its core is in time to stop the process."""
    os.nice(10)
    for kind in (writing.LinesFile, parquet.PartsFolder):

        def write(file: Any, result: Any, *, at_once: Callable[[Any, Any], None] = kind.write) -> None:
            time.sleep(0.005)
            at_once(file, result)

        kind.write = write  # type: ignore[method-assign, assignment]


def predict(model: str, source: str, output: Path, *options: str, stop: tuple[int, int] | None = None) -> int:
    """Run the command in a fork and return how it ended; `stop` is a signal and the size at which it is sent."""
    child = os.fork()
    if not child:
        if stop is not None:
            _write_slowly()
        sys.argv = ["nlp-inference", "predict", model, source, "-o", str(output), *options]
        app()
        os._exit(99)  # the command always exits itself
    while stop is not None and size(output) < stop[1]:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0002)
    if stop is not None:
        os.kill(child, stop[0])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(model: str, source: str, folder: Path, names: list[str]) -> None:
    """Stop predictions of each kind."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has its background jobs ignore
    rng, told = Random(0), []  # noqa: S311 - where to stop is no secret
    for name in names:
        whole = folder / f"whole.{name}"
        told.append({"output": whole.name, "ends": [predict(model, source, whole)], "digest": digest(whole)})
        for number, signals in enumerate([[signal.SIGKILL], [signal.SIGINT], [signal.SIGKILL, signal.SIGKILL]]):
            output = folder / f"stopped-{number}.{name}"
            # early on, so that a parent that waits for its core is in time still
            places = sorted(rng.randrange(1, size(whole) // 4) for _ in signals)
            ends = [
                predict(model, source, output, "--resume", stop=(which, place))
                for which, place in zip(signals, places, strict=True)
            ]
            ends.append(predict(model, source, output, "--resume") if ends[-1] else 0)
            told.append({"output": output.name, "ends": ends, "digest": digest(output)})
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
