"""The checkpoint to resume a run from, and the removal of outdated checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.complete_checkpoints import (
    best_before,
    keep_best_and_last,
    last_complete,
    remove_after,
    step_of,
)
from nlp_training.config import RunConfig
from nlp_training.provenance.manifest import DataPrint
from nlp_training.runs.same_run import check_same_run
from nlp_training.trainer import DocumentTrainer


def choose_checkpoint(
    config: RunConfig, trainer: DocumentTrainer, data: Mapping[str, DataPrint], *, resume: bool, console: Console
) -> str | None:
    """Choose the checkpoint to resume from, if there is one, and remove incomplete and later checkpoints.

    Args:
        config: the resolved configuration.
        trainer: the trainer, before training.
        data: the digests of its documents.
        resume: whether to resume the stopped run from its last complete checkpoint, if there is one.
        console: the console for the choice.

    Raises:
        InvalidSpecError: the configuration names a checkpoint that does not exist, or the run has changed.
    """
    folder = Path(trainer.args.output_dir or ".")
    checkpoint = _find(folder, wanted=trainer.args.resume_from_checkpoint, resume=resume)
    if checkpoint is not None and resume:
        _check_arguments(trainer)
        check_same_run(config, data, world_size=trainer.args.world_size)
    trainer.accelerator.wait_for_everyone()  # before any checkpoint is removed
    if trainer.args.should_save:
        inside = checkpoint is None or checkpoint.resolve().parent == folder.resolve()
        removed = remove_after(folder, checkpoint if inside else None)
        if checkpoint is not None and inside:  # a killed run may not have removed old checkpoints
            keep_best_and_last(folder, limit=trainer.args.save_total_limit, best=best_before(checkpoint))
        if resume:
            console.print(*_what_happens(folder, checkpoint, removed), sep="\n", highlight=False)
    trainer.accelerator.wait_for_everyone()
    return None if checkpoint is None else str(checkpoint)


def _find(folder: Path, *, wanted: Any, resume: bool) -> Path | None:
    if wanted in {None, False, "false"}:
        return last_complete(folder) if resume else None
    if resume:
        raise InvalidSpecError(
            "--resume continues from the last complete checkpoint, but "
            f"training.resume_from_checkpoint is {wanted!r}; use only one of them"
        )
    latest = wanted in {True, "true"}
    checkpoint = last_complete(folder) if latest else Path(str(wanted))
    if checkpoint is None or not checkpoint.is_dir():
        missing = f"no complete checkpoint in {str(folder)!r}" if latest else f"no folder {str(checkpoint)!r}"
        raise InvalidSpecError(f"training.resume_from_checkpoint is {wanted!r}, but there is {missing}; remove the key")
    return checkpoint


def _check_arguments(trainer: DocumentTrainer) -> None:
    """Raise an error for arguments with which a resumed run differs from an uninterrupted run."""
    for key in ("save_only_model", "ignore_data_skip"):
        if getattr(trainer.args, key):
            raise InvalidSpecError(
                f"training.{key} is true, so a resumed run would differ from an uninterrupted one; remove the key, and "
                "replace the run with --overwrite instead of --resume"
            )


def _what_happens(folder: Path, checkpoint: Path | None, removed: list[Path]) -> list[str]:
    lines = [f"[bold]removed[/bold] {path.name}, which is incomplete" for path in removed]
    if checkpoint is None:
        return [*lines, f"[bold]starts from the beginning[/bold] no complete checkpoint in {folder}"]
    return [*lines, f"[bold]resumes[/bold] after step {step_of(checkpoint)}, from {checkpoint}"]
