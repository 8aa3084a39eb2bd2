"""The files of a run that a report is made from."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nlp_inference.registry import Spec
from nlp_training.config import RunConfig, load_config
from nlp_training.data.errors import InvalidDataError
from nlp_training.evaluation.prediction_files import PredictionFile, kept_predictions
from nlp_training.gold import needs_of
from nlp_training.provenance.manifest import MANIFEST_FILE, RunManifest


@dataclass(frozen=True)
class RunFiles:
    """The contents of the files of a run. Missing optional files are empty or `None`.

    Attributes:
        folder: the folder of the run.
        config: the resolved configuration.
        config_text: its YAML.
        metrics: the scores by data set, the validation set first.
        log: the log history of the Trainer.
        data: the report of the data, by split.
        predictions: the prediction files by data set.
        manifest: the manifest of the run.
        saved_at: the time when the model was saved.
    """

    folder: Path
    config: RunConfig
    config_text: str
    metrics: dict[str, dict[str, Any]]
    log: list[dict[str, Any]]
    data: dict[str, dict[str, Any]]
    predictions: dict[str, PredictionFile]
    manifest: RunManifest | None
    saved_at: datetime

    @property
    def needs(self) -> Spec | None:
        """The kind of gold of the task; `None` if the task or the kind is not installed."""
        return needs_of(self.config.processor.task)


def read_run(folder: str | Path) -> RunFiles:
    """Read the files of a run.

    Args:
        folder: the folder of a run, such as `runs/quickstart`, or its `model` folder.

    Raises:
        InvalidDataError: this is not the folder of a run, or a file is damaged.
    """
    run = Path(folder)
    if run.name == "model" and not (run / "model").exists():
        run = run.parent
    model = run / "model"
    if not (model / "training.yaml").is_file() or not (model / "metrics.json").is_file():
        raise InvalidDataError(
            f"{str(folder)!r} contains no model/training.yaml with model/metrics.json; "
            "pass the folder of a finished run, such as runs/quickstart"
        )
    return RunFiles(
        folder=run,
        config=load_config(model / "training.yaml"),
        config_text=(model / "training.yaml").read_text(encoding="utf-8"),
        metrics=_read_json(model / "metrics.json", {}),
        log=_read_json(model / "training_log.json", []),
        data=_read_json(model / "data_report.json", {}),
        predictions={file.name: file for file in kept_predictions(run)},
        manifest=RunManifest.load(run) if (run / MANIFEST_FILE).is_file() else None,
        saved_at=datetime.fromtimestamp((model / "metrics.json").stat().st_mtime, tz=UTC),
    )


def _read_json(path: Path, default: Any) -> Any:
    """Return the content of a JSON file, or `default` if there is no file.

    Raises:
        InvalidDataError: the file is not JSON, or its type differs from that of `default`.
    """
    if not path.is_file():
        return default
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidDataError(f"{path} is damaged: {error}; train again, or restore a copy of the run") from error
    if not isinstance(content, type(default)):
        raise InvalidDataError(f"{path} contains {type(content).__name__}, expected {type(default).__name__}")
    return content
