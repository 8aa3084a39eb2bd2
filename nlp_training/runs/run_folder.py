"""Write access to the folder of a run: one process at a time, and no accidental replacement of a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlp_inference._utils.locks import exclusive_lock
from nlp_inference.errors import ArtefactError, InvalidSpecError, OutputError
from nlp_training._utils.complete_checkpoints import checkpoints_in, last_complete, step_of
from nlp_training.artefact.folder import SETTINGS_FILE
from nlp_training.config import RunConfig
from nlp_training.provenance.environment import is_main_process
from nlp_training.provenance.manifest import MANIFEST_FILE, RunManifest

LOCK_FILE = ".lock"


@contextmanager
def run_folder(config: RunConfig, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Lock the folder of a run inside the block. If there are several processes, the main process checks and locks it.

    Args:
        config: the configuration of the run.
        resume: whether to continue the run in the folder.
        overwrite: whether to replace the run in the folder.

    Raises:
        InvalidSpecError: both `resume` and `overwrite` are true.
        OutputError: the folder contains a model or a checkpoint and both are false, or `resume` finds no checkpoint.
        OutputLockedError: another process writes to the folder.
    """
    if resume and overwrite:
        raise InvalidSpecError("resume continues a run and overwrite replaces it; use only one of them")
    if not is_main_process():
        yield
        return
    with exclusive_lock(config.folder / LOCK_FILE, purpose="training"):
        if not overwrite:
            check_nothing_is_lost(config, resume=resume)
        yield


def check_nothing_is_lost(config: RunConfig, *, resume: bool) -> None:
    """Raise an error if training would replace a model or checkpoints.

    A failed run that left neither may be replaced.

    Args:
        config: the configuration of the run to train.
        resume: whether the run continues from its last checkpoint. This is also the case if
            `training.resume_from_checkpoint` is `true` or a checkpoint in this folder.

    Raises:
        OutputError: training would replace a model or checkpoints.
    """
    found = _existing_output(config.folder)
    if found is None:
        return
    folder = str(config.folder)
    checkpoints = config.folder / "checkpoints"
    if resume and last_complete(checkpoints) is None and (config.folder / "model" / SETTINGS_FILE).is_file():
        raise OutputError(
            f"{folder!r} contains {found}, but no complete checkpoint to resume from; to train again and replace it, "
            "pass --overwrite (in Python overwrite=True), or give the run another name: name=NAME"
        )
    if resume or _continues(config, checkpoints):
        return
    raise OutputError(
        f"{folder!r} already contains {found}, which training would replace; to continue it from its last checkpoint, "
        "pass --resume (in Python resume=True); to replace it, pass --overwrite (overwrite=True); or give the run "
        "another name: name=NAME"
    )


def _continues(config: RunConfig, checkpoints: Path) -> bool:
    wanted = config.training.get("resume_from_checkpoint")
    if wanted in {True, "true"}:
        return True
    return isinstance(wanted, str) and Path(wanted).resolve().parent == checkpoints.resolve()


def _existing_output(folder: Path) -> str | None:
    """Describe the model or the last checkpoint in the folder of a run, if there is one."""
    last = next(reversed(checkpoints_in(folder / "checkpoints")), None)
    has_model = (folder / "model").is_dir() and any((folder / "model").iterdir())
    if not has_model and last is None:
        return None
    try:
        status = f" of a run that is {RunManifest.load(folder).status!r}" if (folder / MANIFEST_FILE).is_file() else ""
    except ArtefactError:
        status = ""
    return f"{'a model' if has_model or last is None else f'checkpoints up to step {step_of(last)}'}{status}"
