"""The manifest of a running run: written before training, completed when it finishes or fails."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from nlp_inference import Document
from nlp_inference._utils.atomic_files import write_atomically
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
    """Training was interrupted before its last step; it can be resumed."""


class RunRecord:
    """The manifest of a running run. Only the main process has a manifest; the others write nothing.

    Args:
        folder: the folder of the run.
        manifest: the current manifest, or `None` in other processes.
    """

    def __init__(self, folder: Path, manifest: RunManifest | None) -> None:
        self.folder = folder
        self.manifest = manifest

    def finish(self, model: Path, *, verification: Replay | None = None) -> None:
        """Record the digests of the saved model and the replay of its golden records."""
        self._write(
            status="finished",
            ended_at=_now(),
            processor=processor_digest(model),
            weights=weights_digests(model),
            metrics=metrics_digest(model),
            verification=verification,
        )

    def fail(self, error: BaseException) -> None:
        """Record the error that ended the run, unless the run had already finished and saved its model.

        Args:
            error: the error. One that represents a signal or Ctrl-C marks the run as interrupted instead of failed.
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
    """Write the manifest and the files next to it before the block; record an error of the block as the run's failure.

    Args:
        config: the resolved configuration.
        trainer: the trainer, before training.
        data: the digests of its documents.
        checkpoint: the checkpoint to resume from.
        resume: whether an earlier start of this run is resumed, whose identity the manifest keeps.
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
    """Write the manifest and the files next to it before training; see `recorded`."""
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
    write_atomically(config.folder / ENVIRONMENT_FILE, environment_lock())
    (config.folder / DIFF_FILE).unlink(missing_ok=True)
    if changes:
        write_atomically(config.folder / DIFF_FILE, changes)
    manifest.save(config.folder)
    return manifest


def without_resuming(config: RunConfig) -> RunConfig:
    """Return the configuration without the checkpoint to resume from, which differs between starts of one run."""
    training = {key: value for key, value in config.training.items() if key != "resume_from_checkpoint"}
    return config.model_copy(update={"training": training})


def data_prints(config: RunConfig, splits: Mapping[str, Sequence[Document]]) -> dict[str, DataPrint]:
    """Return the digests of each split. A stream from the Hub without a known commit has none.

    Args:
        config: the configuration, which specifies the stream.
        splits: the documents that are not streamed.
    """
    source = config.data.train
    of_stream = _stream_print(source) if source.streaming else None
    streamed = {} if of_stream is None else {"train": of_stream}
    return streamed | {
        name: DataPrint(documents=len(documents), sha256=documents_sha256(documents))
        for name, documents in splits.items()
    }


def _stream_print(source: DataSource) -> DataPrint | None:
    """Return a digest or commit of streamed documents, without reading all of them."""
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
