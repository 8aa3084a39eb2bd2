"""Checkpoints of which it is known whether they are whole, whenever the process that wrote them was killed."""

import json
import os
import re
import shutil
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from nlp_inference._utils.atomic_files import write_whole

WHOLE_FILE = "whole.json"
"""Written last into a checkpoint: the sizes of all its files."""

STATE_FILE = "trainer_state.json"
_NAME = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")


def mark_whole(checkpoint: Path) -> None:
    """Say that a checkpoint is complete, once everything in it is on the disk.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     weights = Path(folder) / "model.safetensors"
        ...     _ = weights.write_text("12345")
        ...     mark_whole(Path(folder))
        ...     before = is_whole(Path(folder))
        ...     _ = weights.write_text("123")
        ...     before, is_whole(Path(folder))
        (True, False)
    """
    sizes = {}
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != WHOLE_FILE):
        _sync(path)
        sizes[path.relative_to(checkpoint).as_posix()] = path.stat().st_size
    write_whole(checkpoint / WHOLE_FILE, json.dumps(sizes, indent=2) + "\n")


def is_whole(checkpoint: Path) -> bool:
    """Whether everything is there that was there when the checkpoint was marked as complete."""
    try:
        sizes: dict[str, int] = json.loads((checkpoint / WHOLE_FILE).read_bytes())
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def step_of(checkpoint: Path) -> int:
    """How many steps had been made: the number in the name, and 0 of a folder that has none.

    Example:
        >>> step_of(Path("runs/demo/checkpoints/checkpoint-120"))
        120
    """
    found = _NAME.fullmatch(checkpoint.name)
    return int(found[1]) if found else 0


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, whole or not, the last one last."""
    found = (path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if _NAME.fullmatch(path.name))
    return sorted((path for path in found if path.is_dir()), key=step_of)


def last_whole(folder: Path) -> Path | None:
    """The last checkpoint in a folder that is whole, as is the one with the best weights up to it."""
    return next((path for path in reversed(checkpoints_in(folder)) if is_whole(path) and _has_best(path)), None)


def remove_after(folder: Path, checkpoint: Path | None) -> list[Path]:
    """Remove the checkpoints that do not lead to `checkpoint`: those after it, and those that are not whole.

    Args:
        folder: with the checkpoints of a run.
        checkpoint: from which the run goes on; `None` removes all.

    Returns:
        What was removed.
    """
    step = step_of(checkpoint) if checkpoint is not None else -1
    others = [path for path in checkpoints_in(folder) if checkpoint is None or not path.samefile(checkpoint)]
    removed = [path for path in others if step_of(path) > step or not is_whole(path)]
    for path in removed:
        shutil.rmtree(path)
    return removed


def best_before(checkpoint: Path) -> Path | None:
    """The checkpoint with the best weights up to this one, if the weights were compared; it may not be there."""
    step = json.loads((checkpoint / STATE_FILE).read_bytes()).get("best_global_step")
    return None if step is None else checkpoint.with_name(f"{PREFIX_CHECKPOINT_DIR}-{step}")


def keep_best_and_last(folder: Path, *, limit: int | None, best: Path | None) -> None:
    """Remove the oldest checkpoints beyond `limit`, but never the last one, nor the best.

    Args:
        folder: with the checkpoints of a run; the last one is whole.
        limit: `save_total_limit`.
        best: the one with the best weights.
    """
    rotate_checkpoints(str(folder), save_total_limit=limit, best_model_checkpoint=None if best is None else str(best))


def _has_best(checkpoint: Path) -> bool:
    best = best_before(checkpoint)
    return best is None or best == checkpoint or is_whole(best)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
