"""The checkpoints of a run: which to go on from, and none of an earlier run."""

import shutil
from pathlib import Path
from typing import Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from nlp_inference.errors import InvalidSpecError
from nlp_training.trainer import DocumentTrainer


def prepare_checkpoints(trainer: DocumentTrainer) -> str | None:
    """The checkpoint to go on from; if there is none to be, those of an earlier run are removed.

    Raises:
        InvalidSpecError: there is no such checkpoint.
    """
    wanted: Any = trainer.args.resume_from_checkpoint
    folder = Path(trainer.args.output_dir or ".")
    if wanted in {None, False, "false"}:
        if trainer.args.should_save:
            for old in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
                shutil.rmtree(old)
        trainer.accelerator.wait_for_everyone()
        return None
    latest = wanted in {True, "true"}
    checkpoint = get_last_checkpoint(folder) if latest and folder.is_dir() else None if latest else str(wanted)
    if checkpoint is None or not Path(checkpoint).is_dir():
        place = f"no checkpoint in {str(folder)!r}" if latest else f"no folder {checkpoint!r}"
        raise InvalidSpecError(f"training.resume_from_checkpoint is {wanted!r}, but there is {place}; leave it out")
    return str(checkpoint)
