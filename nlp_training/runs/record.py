"""The manifest of a run while it runs: written before training, completed at the end, also by a failure."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from nlp_inference import Document
from nlp_inference._utils.atomic_files import write_whole
from nlp_inference.errors import ArtefactError, NlpInferenceError
from nlp_training._utils.complete_checkpoints import step_of
from nlp_training._utils.replacing import remove_unfinished
from nlp_training.config import RunConfig, save_config
from nlp_training.data import DataSource
from nlp_training.data.fingerprint import documents_sha256, files_sha256, synthetic_sha256
from nlp_training.provenance.code_state import find_code
from nlp_training.provenance.digests import metrics_digest, processor_digest, tensors_sha256, weights_digests
from nlp_training.provenance.environment import (
    command_line,
    deciding_variables,
    environment_lock,
    find_hardware,
    package_versions,
)
from nlp_training.provenance.manifest import (
    CONFIG_FILE,
    DIFF_FILE,
    ENVIRONMENT_FILE,
    DataPrint,
    Replay,
    Resumption,
    RunManifest,
)
from nlp_training.provenance.module_files import keep_modules
from nlp_training.trainer.resumable_trainer import ResumableTrainer

_ERROR_CHARACTERS = 500


class InterruptedRunError(NlpInferenceError):
    """Training was stopped before its last step, without a decision that it ends; it can be resumed."""


class RunRecord:
    """The manifest of a run that is under way; in other processes than the main one it is `None` and nothing is done.

    Args:
        folder: of the run.
        manifest: as it stands.
    """

    def __init__(self, folder: Path, manifest: RunManifest | None) -> None:
        self.folder = folder
        self.manifest = manifest

    def finish(self, model: Path, *, verification: Replay | None = None) -> None:
        """Say what came out: the digests of a saved model, and what came of replaying its golden records."""
        self._write(
            status="finished",
            ended_at=_now(),
            processor=processor_digest(model),
            weights=weights_digests(model),
            metrics=metrics_digest(model),
            verification=verification,
        )

    def fail(self, error: BaseException) -> None:
        """Say what ended the run, unless it had finished: its model is there, whatever failed afterwards.

        Args:
            error: that ended it; one that stands for a signal or Ctrl-C makes it an interrupted run, not a failed one.
        """
        if self.manifest is not None and self.manifest.status == "finished":
            return
        text = " ".join(f"{type(error).__name__}: {error}".split())
        interrupted = isinstance(error, (InterruptedRunError, KeyboardInterrupt, SystemExit))
        self._write(status="interrupted" if interrupted else "failed", ended_at=_now(), error=text[:_ERROR_CHARACTERS])

    def _write(self, **changes: Any) -> None:
        if self.manifest is not None:
            self.manifest = self.manifest.model_copy(update=changes)
            self.manifest.save(self.folder)


@contextmanager
def recorded(
    config: RunConfig,
    trainer: ResumableTrainer,
    data: Mapping[str, DataPrint],
    *,
    checkpoint: str | None,
    resume: bool,
) -> Iterator[RunRecord]:
    """Write the manifest and the files beside it before the block; a block that fails is a run that failed.

    Args:
        config: resolved.
        trainer: about to train.
        data: the prints of its documents.
        checkpoint: from which it goes on.
        resume: whether an earlier start of this run goes on, whose identity it keeps.
    """
    manifest = None
    if trainer.is_world_process_zero():
        manifest = begin_manifest(config, trainer, data, checkpoint=checkpoint, resume=resume)
    record = RunRecord(config.folder, manifest)
    try:
        yield record
    except BaseException as error:
        record.fail(error)
        raise


def begin_manifest(
    config: RunConfig,
    trainer: ResumableTrainer,
    data: Mapping[str, DataPrint],
    *,
    checkpoint: str | None,
    resume: bool,
) -> RunManifest:
    """Write everything that is known before training; see `recorded`."""
    code, project, changes = find_code()
    earlier = _earlier(config.folder) if resume else None
    manifest = RunManifest(
        id=uuid4().hex,
        name=config.name,
        status="running",
        started_at=_now(),
        from_checkpoint=Path(checkpoint).name if checkpoint is not None and not resume else None,
        command=command_line(),
        python=platform.python_version(),
        packages=package_versions(),
        code=code,
        project=project,
        hardware=find_hardware(),
        environment=deciding_variables(),
        world_size=trainer.args.world_size,
        seed=config.seed,
        data=data,
        modules=keep_modules(config.modules, config.folder),
        initial_weights=tensors_sha256(trainer.accelerator.unwrap_model(trainer.model).state_dict()),
    )
    if earlier is not None:
        step = 0 if checkpoint is None else step_of(Path(checkpoint))
        begun = {name: getattr(earlier, name) for name in ("id", "started_at", "from_checkpoint")}
        manifest = manifest.model_copy(
            update={**begun, "resumed": (*earlier.resumed, Resumption(at=_now(), step=step))}
        )
    config.folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(config.folder / "model")
    unfinished = config.folder / f".{CONFIG_FILE}.unfinished"
    save_config(without_resuming(config), unfinished)
    unfinished.replace(config.folder / CONFIG_FILE)
    write_whole(config.folder / ENVIRONMENT_FILE, environment_lock())
    (config.folder / DIFF_FILE).unlink(missing_ok=True)
    if changes:
        write_whole(config.folder / DIFF_FILE, changes)
    manifest.save(config.folder)
    return manifest


def without_resuming(config: RunConfig) -> RunConfig:
    """The run, wherever it began: what two starts of one run have in common."""
    training = {key: value for key, value in config.training.items() if key != "resume_from_checkpoint"}
    return config.model_copy(update={"training": training})


def data_prints(config: RunConfig, splits: Mapping[str, Sequence[Document]]) -> dict[str, DataPrint]:
    """What documents a run has; there is none of a stream from the Hub whose commit is not known.

    Args:
        config: says what is streamed.
        splits: everything else.
    """
    source = config.data.train
    of_stream = _stream_print(source) if source.streaming else None
    streamed = {} if of_stream is None else {"train": of_stream}
    return streamed | {
        name: DataPrint(documents=len(documents), sha256=documents_sha256(documents))
        for name, documents in splits.items()
    }


def _stream_print(source: DataSource) -> DataPrint | None:
    """What can be known of documents without reading them all."""
    if source.synthetic_pii is not None:
        return DataPrint(sha256=synthetic_sha256(source.synthetic_pii))
    if source.path is not None and Path(source.path).exists():
        return DataPrint(sha256=files_sha256(Path(source.path)))
    return None if source.commit is None else DataPrint(commit=source.commit)


def _earlier(folder: Path) -> RunManifest | None:
    try:
        return RunManifest.load(folder)
    except ArtefactError:
        return None


def _now() -> datetime:
    return datetime.now(UTC)
