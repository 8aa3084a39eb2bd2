"""The checkpoints of a run: which to go on from, and none of an earlier run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.complete_checkpoints import (
    best_before,
    keep_best_and_last,
    last_whole,
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
    """The checkpoint to go on from, if there is one; those that do not lead to it are removed.

    Args:
        config: resolved.
        trainer: about to train.
        data: the prints of its documents.
        resume: whether to go on from the last whole one, if there is any, as if the run had not been stopped.
        console: where to say what was chosen.

    Raises:
        InvalidSpecError: the configuration names a checkpoint that is not there, or the run is not the same any more.
    """
    folder = Path(trainer.args.output_dir or ".")
    checkpoint = _find(folder, wanted=trainer.args.resume_from_checkpoint, resume=resume)
    if checkpoint is not None and resume:
        _check_arguments(trainer)
        check_same_run(config, data, world_size=trainer.args.world_size)
    trainer.accelerator.wait_for_everyone()  # all have chosen
    if trainer.args.should_save:
        inside = checkpoint is None or checkpoint.resolve().parent == folder.resolve()
        removed = remove_after(folder, checkpoint if inside else None)
        if checkpoint is not None and inside:  # it may have been killed before it did
            keep_best_and_last(folder, limit=trainer.args.save_total_limit, best=best_before(checkpoint))
        if resume:
            console.print(*_what_happens(folder, checkpoint, removed), sep="\n", highlight=False)
    trainer.accelerator.wait_for_everyone()
    return None if checkpoint is None else str(checkpoint)


def _find(folder: Path, *, wanted: Any, resume: bool) -> Path | None:
    if wanted in {None, False, "false"}:
        return last_whole(folder) if resume else None
    if resume:
        raise InvalidSpecError(
            "--resume goes on with the same configuration from the last whole checkpoint, but "
            f"training.resume_from_checkpoint is {wanted!r}; leave one of both out"
        )
    latest = wanted in {True, "true"}
    checkpoint = last_whole(folder) if latest else Path(str(wanted))
    if checkpoint is None or not checkpoint.is_dir():
        place = f"no checkpoint in {str(folder)!r} that is whole" if latest else f"no folder {str(checkpoint)!r}"
        raise InvalidSpecError(f"training.resume_from_checkpoint is {wanted!r}, but there is {place}; leave it out")
    return checkpoint


def _check_arguments(trainer: DocumentTrainer) -> None:
    """Refuse what makes a resumed run another one."""
    for key in ("save_only_model", "ignore_data_skip"):
        if getattr(trainer.args, key):
            raise InvalidSpecError(
                f"training.{key} is true, so that a resumed run would not be the one that was stopped; leave it out, "
                "and replace the run with --overwrite in place of --resume"
            )


def _what_happens(folder: Path, checkpoint: Path | None, removed: list[Path]) -> list[str]:
    lines = [f"[bold]removed[/bold] {path.name}, which was not written to its end" for path in removed]
    if checkpoint is None:
        return [*lines, f"[bold]begins anew[/bold] no whole checkpoint in {folder}"]
    return [*lines, f"[bold]goes on[/bold] after step {step_of(checkpoint)}, from {checkpoint}"]
