"""Runs of a configuration in processes of their own, some of which are killed on the way: a driver for the tests.

`python killed_runs.py PLAN.json`: a list of attempts, each with the arguments of `attempt`. Libraries are imported
once; every attempt is a fork, so that each begins as a new process does. What is printed is one JSON list: how each
attempt ended, as `os.waitstatus_to_exitcode` says it (-9: killed). Under torchrun, the plan has one attempt.

`kill_at` is `[place, count]`: at the `count`-th call of the place, or after the `count`-th step, the process sends
itself SIGKILL. Places in the midst of writing leave what a kill leaves there: half a file, half a folder.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers.modeling_utils
from rich.console import Console

import nlp_training.artefact.save
import nlp_training.runs.run
from nlp_training import load_config, train
from nlp_training._utils import complete_checkpoints as whole_checkpoints
from nlp_training._utils.complete_checkpoints import checkpoints_in
from nlp_training.trainer import DocumentTrainer, resumable_trainer


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(owner: Any, name: str, count: int, instead: Callable[..., Any]) -> None:
    """Do something else at the `count`-th call of a function."""
    original, calls = getattr(owner, name), iter(range(1, 10**9))

    def watched(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == count:
            instead(*args, **kwargs)
            kill()
        return original(*args, **kwargs)

    setattr(owner, name, watched)


def write_half(content: Any, file: Any, *_: Any, **__: Any) -> None:
    whole = BytesIO()
    SAVE(content, whole)
    Path(file).write_bytes(whole.getvalue()[: whole.tell() // 2])


def write_half_of_weights(tensors: Any, file: Any, **_: Any) -> None:
    whole = safetensors.torch.save(tensors)
    Path(file).write_bytes(whole[: len(whole) // 2])


def remove_half(folder: str, best_model_checkpoint: str | None, **_: Any) -> None:
    """Remove half of the files of the oldest checkpoint that is not the best one."""
    oldest = next(path for path in checkpoints_in(Path(folder)) if str(path) != best_model_checkpoint)
    files = sorted(path for path in oldest.rglob("*") if path.is_file())
    for path in files[: len(files) // 2]:
        path.unlink()


def nothing(*_: Any, **__: Any) -> None:
    """Die before anything is done."""


SAVE = torch.save
PLACES: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "step": (DocumentTrainer, "training_step", nothing),
    "torch.save": (torch, "save", write_half),
    "weights": (transformers.modeling_utils, "safe_save_file", write_half_of_weights),
    "mark": (resumable_trainer, "mark_complete", nothing),
    "rotate": (resumable_trainer, "keep_best_and_last", nothing),
    "remove": (whole_checkpoints, "rotate_checkpoints", remove_half),
    "finalize": (DocumentTrainer, "_finalize_training", nothing),
    "calibrate": (nlp_training.runs.run, "fit_task", nothing),
    "artefact": (nlp_training.artefact.save, "model_card", nothing),
}


def attempt(config: str, *, resume: bool = False, kill_at: list[Any] | None = None) -> None:
    """Train, if nothing kills this process on the way."""
    if kill_at is not None:
        place, count = kill_at
        owner, name, instead = PLACES[place]
        at_call(owner, name, count, instead)
    with Path(config).with_suffix(".log").open("a") as log:
        train(load_config(config), console=Console(file=log, width=200), resume=resume)


def in_a_fork(work: Callable[[], None]) -> int:
    """How a process ended that did only this."""
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            work()
            ended = 0
        finally:
            if ended:
                traceback.print_exc()
            os._exit(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[1]).read_text())
    if "RANK" in os.environ:  # started by torchrun, with one attempt
        attempt(**plan[0])
        torch.distributed.destroy_process_group()  # else its threads may outlive the interpreter, which aborts then
    else:
        print(json.dumps([in_a_fork(partial(attempt, **one)) for one in plan]))  # noqa: T201 - what the test reads
