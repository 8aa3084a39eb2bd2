"""Reading the folder of a finished, unfinished or broken run."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nlp_inference.errors import ArtefactError, InvalidSpecError, NlpInferenceError
from nlp_training.config.yaml_files import read_yaml
from nlp_training.gold import gold_kinds
from nlp_training.provenance.manifest import CONFIG_FILE, MANIFEST_FILE, RunManifest

Status = Literal["finished", "failed", "interrupted", "running", "unfinished", "broken"]
"""The status of a run. Killed runs are also `running`; runs without a valid manifest are `unfinished` or `broken`."""

_OF_A_RUN = (MANIFEST_FILE, CONFIG_FILE, "model")
_INSIDE = frozenset({"model", "checkpoints", "logs", "predictions"})
_DEPTH = 4


class Score(NamedTuple):
    """The main score of a data set: its name, its value, and the ends of its 95 % interval, if it has one."""

    name: str
    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run as recorded in its folder.

    Attributes:
        folder: the folder of the run.
        name: the name of the run: its folder, relative to the searched folder.
        status: the status of the run.
        problem: what is wrong with the run, in one line.
        started: the start time; for a run without a manifest, the time of its newest file.
        seconds: the duration of the run.
        base: the model that the run started from.
        task: the name of the task.
        commit: the commit of the user's project, or of this library if there is no project.
        config: the configuration as JSON; empty if there is none.
        metrics: the scores by data set; empty if there are none.
    """

    folder: Path
    name: str
    status: Status
    problem: str | None = None
    started: datetime | None = None
    seconds: float | None = None
    base: str | None = None
    task: str | None = None
    commit: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def scores(self) -> dict[str, Score]:
        """Return the main score of each data set, which selects the best model."""
        found = {data: _main_score(scores) for data, scores in self.metrics.items()}
        return {data: score for data, score in found.items() if score is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON, without the configuration and with only the main scores."""
        return {
            "name": self.name,
            "folder": str(self.folder),
            "status": self.status,
            "problem": self.problem,
            "started": None if self.started is None else self.started.isoformat(timespec="seconds"),
            "seconds": self.seconds,
            "base": self.base,
            "task": self.task,
            "commit": self.commit,
            "scores": {data: score._asdict() for data, score in self.scores().items()},
        }


def find_runs(folder: str | Path) -> list[Run]:
    """Find all runs in a folder, including runs inside of runs, sorted by name.

    Args:
        folder: a folder such as `runs`, or a run.

    Raises:
        ArtefactError: the folder does not exist.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ArtefactError(f"the folder {str(root)!r} does not exist; pass a folder that contains runs, such as runs")
    return [read_run(one, name=_name(one, root)) for one in _folders_of_runs(root, _DEPTH)]


def read_run(folder: str | Path, *, name: str | None = None) -> Run:
    """Read the folder of a run. A problem in it becomes the status of the run and raises no error.

    Raises:
        ArtefactError: this is not the folder of a run.
    """
    path = Path(folder)
    if path.name == "model" and not _is_run(path):
        path = path.parent
    if not _is_run(path):
        raise ArtefactError(f"{str(folder)!r} is not the folder of a run; pass one such as runs/quickstart")
    manifest, no_manifest = _attempt(lambda: RunManifest.load(path), needed=(path / MANIFEST_FILE).exists())
    config, no_config = _read_config(path)
    metrics, no_metrics = _attempt(lambda: _read_metrics(path), needed=(path / "model" / "metrics.json").exists())
    problem = no_manifest or no_config or no_metrics
    status: Status = "broken" if problem else "finished" if metrics else "unfinished"
    if manifest is not None and not (problem and manifest.status == "finished"):
        status = manifest.status
    return Run(
        folder=path,
        name=name or path.resolve().name,
        status=status,
        problem=problem or (manifest.error if manifest is not None else None),
        started=_newest(path) if manifest is None else manifest.started_at,
        seconds=None if manifest is None else manifest.seconds,
        base=_inside(config or {}, "model", "base"),
        task=_task(config or {}),
        commit=None if manifest is None else _commit(manifest),
        config=config or {},
        metrics=metrics or {},
    )


def _folders_of_runs(folder: Path, depth: int) -> Iterator[Path]:
    is_run = _is_run(folder)
    if is_run:
        yield folder
    if depth:
        for inner in sorted(folder.iterdir()):
            if inner.is_dir() and not inner.name.startswith(".") and not (is_run and inner.name in _INSIDE):
                yield from _folders_of_runs(inner, depth - 1)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in _OF_A_RUN) or any(folder.glob("checkpoints/*"))


def _name(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix() if folder != root else root.resolve().name


def _attempt(read: Any, *, needed: bool) -> tuple[Any, str | None]:
    if not needed:
        return None, None
    try:
        return read(), None
    except (NlpInferenceError, OSError, ValueError) as error:
        return None, " ".join(str(error).split())


def _read_config(folder: Path) -> tuple[Any, str | None]:
    for path in (folder / CONFIG_FILE, folder / "model" / "training.yaml"):
        if path.exists():
            return _attempt(lambda path=path: read_yaml(path), needed=True)
    return None, None


def _read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "model" / "metrics.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidSpecError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(scores, dict) for scores in content.values()):
        raise InvalidSpecError(f"{str(path)!r} contains {content!r:.60}, expected scores by data set")
    return content


def _main_score(scores: Mapping[str, Any]) -> Score | None:
    main_scores = dict.fromkeys(kind.metric.best for kind in gold_kinds())
    for name in (*main_scores, *scores):  # for a custom task with other scores, use the first one
        if isinstance(value := scores.get(name), float):
            low_and_high = _inside(scores, "interval", name)
            ends = low_and_high if isinstance(low_and_high, list) and len(low_and_high) == 2 else None
            return Score(name, value, None if ends is None else (ends[0], ends[1]))
    return None


def _task(config: Mapping[str, Any]) -> str | None:
    task = _inside(config, "processor", "task")
    return next(iter(task), None) if isinstance(task, Mapping) else task


def _inside(content: Mapping[str, Any], *keys: str) -> Any:
    found: Any = content
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _commit(manifest: RunManifest) -> str | None:
    return manifest.code.commit if manifest.project is None else manifest.project.commit


def _newest(folder: Path) -> datetime | None:
    times = [path.stat().st_mtime for path in (*folder.glob("*"), *folder.glob("model/*.json"))]
    return datetime.fromtimestamp(max(times), tz=UTC) if times else None
