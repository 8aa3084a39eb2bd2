"""Comparison of a run with its repetition: their inputs and their results."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nlp_training.config import load_config
from nlp_training.provenance.manifest import CONFIG_FILE, DIFF_FILE, DataPrint, RunManifest
from nlp_training.provenance.module_files import MODULES_FOLDER
from nlp_training.runs.same_run import flat_config

Kind = Literal["data", "code", "environment", "configuration", "start", "result"]


class Row(BaseModel):
    """A property of a run and of its repetition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    name: str
    before: str
    now: str

    @property
    def same(self) -> bool:
        """Whether both runs have the same value."""
        return self.before == self.now


class Reproduction(BaseModel):
    """The comparison of a run with its repetition.

    Args:
        identical: whether weights, processor and scores are equal bit for bit.
        rows: all compared properties.
        explanations: possible explanations of a difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    identical: bool
    rows: tuple[Row, ...]
    explanations: tuple[str, ...] = ()


def compare_with_original(before: Path, now: Path) -> Reproduction:
    """Compare a run with its repetition by their manifests.

    Args:
        before: the folder of a finished run.
        now: the folder of a finished run with the same configuration.

    Raises:
        ArtefactError: a run has no manifest.
    """
    old, new = RunManifest.load(before), RunManifest.load(now)
    rows = (
        *data_rows(old.data, new.data),
        *_code_rows(old, new),
        Row(kind="code", name="uncommitted changes", before=_diff_digest(before), now=_diff_digest(now)),
        *_environment_rows(old, new),
        *_configuration_rows(before, now),
        Row(kind="start", name="initial weights", before=old.initial_weights, now=new.initial_weights),
        *_result_rows(old, new),
    )
    identical = all(row.same for row in rows if row.kind == "result")
    return Reproduction(identical=identical, rows=rows, explanations=() if identical else tuple(explain_rows(rows)))


def data_rows(before: Mapping[str, DataPrint], now: Mapping[str, DataPrint]) -> list[Row]:
    """Compare the documents of each split.

    Example:
        >>> [row] = data_rows({"train": DataPrint(documents=2, sha256="ab")}, {})
        >>> row.before, row.now, row.same
        ('2 documents, sha256 ab', 'none', False)
    """

    def shown(prints: Mapping[str, DataPrint], name: str) -> str:
        if name not in prints:
            return "none"
        count = prints[name].documents
        return f"{'streamed' if count is None else count} documents, {' '.join(prints[name].identity)}"

    return [Row(kind="data", name=name, before=shown(before, name), now=shown(now, name)) for name in {**before, **now}]


def explain_rows(rows: Iterable[Row]) -> Iterator[str]:
    """Explain different results, the most likely explanation first."""
    changed = {row.name: row for row in rows if not row.same and row.kind != "result"}
    kinds = {row.kind for row in changed.values()}
    if "start" in kinds:
        yield (
            "training began with different weights: the base model differs, or a different version of torch or "
            "transformers initialized the head differently"
        )
    if "code" in kinds:
        names = ", ".join(row.name for row in changed.values() if row.kind == "code")
        yield f"the code differs ({names}): compare the commits, {DIFF_FILE} and {MODULES_FOLDER} of both runs"
    if "configuration" in kinds:
        keys = [row.name for row in changed.values() if row.kind == "configuration"]
        yield f"this machine resolved keys differently that the configuration leaves open: {', '.join(keys)}"
    for name in ("threads", "processes"):
        if name in changed:
            yield f"{name} {changed[name].before} -> {changed[name].now}: floating-point sums have a different order"
    for name in ("cpu", "vector instructions", "accelerators"):
        if name in changed:
            yield f"{name} {changed[name].before} -> {changed[name].now}: different kernels round differently"
    others = [row.name for row in changed.values() if row.kind == "environment" and row.name not in _EXPLAINED]
    if others:
        yield f"different versions or environment variables may change results: {', '.join(others)}"
    if not changed:
        yield (
            "nothing that was recorded differs, so an operation is not deterministic; on an accelerator set "
            "training.full_determinism: true in the configuration, and train RUN again"
        )


_EXPLAINED = {"threads", "processes", "cpu", "vector instructions", "accelerators", "system", "cores"}


def _code_rows(old: RunManifest, new: RunManifest) -> Iterator[Row]:
    for name, before, now in (
        ("version", old.code.version, new.code.version),
        ("commit", old.code.commit, new.code.commit),
        ("commit of the project", *(one.project.commit if one.project else None for one in (old, new))),
    ):
        yield Row(kind="code", name=name, before=before or "none", now=now or "none")
    for name in {**old.modules, **new.modules}:
        yield Row(kind="code", name=name, before=old.modules.get(name, "none"), now=new.modules.get(name, "none"))


def _environment_rows(old: RunManifest, new: RunManifest) -> Iterator[Row]:
    before, now = _environment(old), _environment(new)
    for name in {**before, **now}:
        yield Row(kind="environment", name=name, before=before.get(name, "none"), now=now.get(name, "none"))


def _environment(manifest: RunManifest) -> dict[str, str]:
    hardware = manifest.hardware
    return {
        "python": manifest.python,
        **manifest.packages,
        "system": hardware.system,
        "cpu": hardware.cpu,
        "vector instructions": hardware.vector,
        "cores": str(hardware.cores),
        "threads": str(hardware.threads),
        "accelerators": ", ".join(hardware.accelerators) or "none",
        "processes": str(manifest.world_size),
        **manifest.environment,
    }


_NOT_COMPARED = ("output_dir", "training.report_to")


def _configuration_rows(before: Path, now: Path) -> Iterator[Row]:
    """Yield the keys that differ, except the output folder and the trackers."""
    paths = before / CONFIG_FILE, now / CONFIG_FILE
    if all(path.is_file() for path in paths):
        old, new = (flat_config(load_config(path)) for path in paths)
        for key in (key for key in {**old, **new} if old.get(key) != new.get(key) and key not in _NOT_COMPARED):
            yield Row(kind="configuration", name=key, before=old.get(key, "none"), now=new.get(key, "none"))


def _result_rows(old: RunManifest, new: RunManifest) -> Iterator[Row]:
    for name in sorted({*old.weights, *new.weights}):
        yield Row(kind="result", name=name, before=old.weights.get(name, "none"), now=new.weights.get(name, "none"))
    yield Row(kind="result", name="processor", before=old.processor or "none", now=new.processor or "none")
    yield Row(kind="result", name="metrics", before=old.metrics or "none", now=new.metrics or "none")


def _diff_digest(folder: Path) -> str:
    path = folder / DIFF_FILE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"
