"""The folder of a run: what is there already, and one process at a time that writes to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlp_inference._utils.locks import exclusive_lock
from nlp_inference.errors import ArtefactError, InvalidSpecError, OutputError
from nlp_training._utils.complete_checkpoints import checkpoints_in, last_whole, step_of
from nlp_training.artefact.folder import SETTINGS_FILE
from nlp_training.config import RunConfig
from nlp_training.provenance.environment import is_main_process
from nlp_training.provenance.manifest import MANIFEST_FILE, RunManifest

LOCK_FILE = ".lock"


@contextmanager
def run_folder(config: RunConfig, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Write to the folder of a run while the block runs; of several processes, the main one checks and locks it.

    Args:
        config: of the run.
        resume: whether to continue what is there.
        overwrite: whether to replace what is there.

    Raises:
        InvalidSpecError: both are asked for.
        OutputError: there is a model or a checkpoint, and neither is asked for; or nothing to resume from.
        OutputLockedError: another process writes to the folder.
    """
    if resume and overwrite:
        raise InvalidSpecError("resume continues a run and overwrite replaces it; give one of both")
    if not is_main_process():
        yield
        return
    with exclusive_lock(config.folder / LOCK_FILE, purpose="training"):
        if not overwrite:
            check_nothing_is_lost(config, resume=resume)
        yield


def check_nothing_is_lost(config: RunConfig, *, resume: bool) -> None:
    """Refuse to replace a model or checkpoints.

    A run that left neither, since it failed before, is replaced.

    Args:
        config: of the run that is about to be trained.
        resume: whether it continues from its last checkpoint. `training.resume_from_checkpoint`, if it is `true` or a
            checkpoint in this folder, counts as well.

    Raises:
        OutputError: there is something that would be replaced.
    """
    found = _what_is_there(config.folder)
    if found is None:
        return
    folder = str(config.folder)
    checkpoints = config.folder / "checkpoints"
    if resume and last_whole(checkpoints) is None and (config.folder / "model" / SETTINGS_FILE).is_file():
        raise OutputError(
            f"{folder!r} holds {found}, but no complete checkpoint to resume from; to train again and replace it, give "
            "--overwrite (in Python overwrite=True), or give the run another name: name=NAME"
        )
    if resume or _continues(config, checkpoints):
        return
    raise OutputError(
        f"{folder!r} already holds {found}, which training would replace; to continue it from its last checkpoint, "
        "give --resume (in Python resume=True); to replace it, give --overwrite (overwrite=True); or give the run "
        "another name: name=NAME"
    )


def _continues(config: RunConfig, checkpoints: Path) -> bool:
    wanted = config.training.get("resume_from_checkpoint")
    if wanted in {True, "true"}:
        return True
    return isinstance(wanted, str) and Path(wanted).resolve().parent == checkpoints.resolve()


def _what_is_there(folder: Path) -> str | None:
    """A description of the model or the last checkpoint in the folder of a run, if it has any."""
    last = next(reversed(checkpoints_in(folder / "checkpoints")), None)
    has_model = (folder / "model").is_dir() and any((folder / "model").iterdir())
    if not has_model and last is None:
        return None
    try:
        status = f" of a run that is {RunManifest.load(folder).status!r}" if (folder / MANIFEST_FILE).is_file() else ""
    except ArtefactError:
        status = ""
    return f"{'a model' if has_model or last is None else f'checkpoints up to step {step_of(last)}'}{status}"
