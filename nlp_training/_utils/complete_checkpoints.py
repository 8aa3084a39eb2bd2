"""Checkpoints with a completeness mark, so that a checkpoint of a killed process is recognized as incomplete."""

import json
import os
import re
import shutil
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from nlp_inference._utils.atomic_files import write_atomically

COMPLETE_FILE = "whole.json"
"""The last file that is written into a checkpoint: the sizes of all its other files."""

STATE_FILE = "trainer_state.json"
_NAME = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")


def mark_complete(checkpoint: Path) -> None:
    """Flush all files of a checkpoint to disk, then mark it as complete.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     weights = Path(folder) / "model.safetensors"
        ...     _ = weights.write_text("12345")
        ...     mark_complete(Path(folder))
        ...     before = is_complete(Path(folder))
        ...     _ = weights.write_text("123")
        ...     before, is_complete(Path(folder))
        (True, False)
    """
    sizes = {}
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != COMPLETE_FILE):
        _sync(path)
        sizes[path.relative_to(checkpoint).as_posix()] = path.stat().st_size
    write_atomically(checkpoint / COMPLETE_FILE, json.dumps(sizes, indent=2) + "\n")


def is_complete(checkpoint: Path) -> bool:
    """Return whether a checkpoint is marked as complete and all its files have the recorded sizes."""
    try:
        sizes: dict[str, int] = json.loads((checkpoint / COMPLETE_FILE).read_bytes())
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def step_of(checkpoint: Path) -> int:
    """Return the training step of a checkpoint: the number in its name, or 0 for a name without a number.

    Example:
        >>> step_of(Path("runs/demo/checkpoints/checkpoint-120"))
        120
    """
    found = _NAME.fullmatch(checkpoint.name)
    return int(found[1]) if found else 0


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, complete or not, in the order of their steps."""
    found = (path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if _NAME.fullmatch(path.name))
    return sorted((path for path in found if path.is_dir()), key=step_of)


def last_complete(folder: Path) -> Path | None:
    """Return the last complete checkpoint whose best checkpoint so far is also complete."""
    return next((path for path in reversed(checkpoints_in(folder)) if is_complete(path) and _has_best(path)), None)


def remove_after(folder: Path, checkpoint: Path | None) -> list[Path]:
    """Remove incomplete checkpoints and those after `checkpoint`.

    Args:
        folder: the folder with the checkpoints of a run.
        checkpoint: the checkpoint to resume from; `None` removes all checkpoints.

    Returns:
        The removed checkpoints.
    """
    step = step_of(checkpoint) if checkpoint is not None else -1
    others = [path for path in checkpoints_in(folder) if checkpoint is None or not path.samefile(checkpoint)]
    removed = [path for path in others if step_of(path) > step or not is_complete(path)]
    for path in removed:
        shutil.rmtree(path)
    return removed


def best_before(checkpoint: Path) -> Path | None:
    """Return the path of the best checkpoint up to this one, if any were compared. The path may not exist."""
    step = json.loads((checkpoint / STATE_FILE).read_bytes()).get("best_global_step")
    return None if step is None else checkpoint.with_name(f"{PREFIX_CHECKPOINT_DIR}-{step}")


def keep_best_and_last(folder: Path, *, limit: int | None, best: Path | None) -> None:
    """Remove the oldest checkpoints beyond `limit`, but never the last or the best one.

    Args:
        folder: the folder with the checkpoints of a run; the last one is complete.
        limit: `save_total_limit`.
        best: the checkpoint with the best weights.
    """
    rotate_checkpoints(str(folder), save_total_limit=limit, best_model_checkpoint=None if best is None else str(best))


def _has_best(checkpoint: Path) -> bool:
    best = best_before(checkpoint)
    return best is None or best == checkpoint or is_complete(best)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
