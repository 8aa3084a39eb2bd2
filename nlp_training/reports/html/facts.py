"""The facts of a run at the top of its report."""

from collections.abc import Mapping
from typing import Any

from nlp_inference.registry import split_spec
from nlp_training.provenance.manifest import DataPrint, RunManifest
from nlp_training.reports.html.run_files import RunFiles


def header_facts(run: RunFiles) -> dict[str, str]:
    """Return the task, model, data and training settings of a run."""
    config, training = run.config, run.config.training
    task, settings = split_spec(config.processor.task, kind="task")
    labels = settings.get("labels") if isinstance(settings, Mapping) else None
    found = {
        "task": task + (f", {len(labels)} labels" if labels else ""),
        "base model": config.model.base,
        "documents": ", ".join(f"{name} {split['documents']:,}" for name, split in run.data.items()),
        "epochs": _number(training.get("num_train_epochs")),
        "learning rate": _number(training.get("learning_rate")),
        "batches": f"{training.get('per_device_train_batch_size')} windows, {training.get('train_sampling_strategy')}",
        "precision": "bf16" if training.get("bf16") is True else "fp16" if training.get("fp16") else "fp32",
        "threads": _threads(run),
        "loss": "the model's own" if config.loss is None else _spec(config.loss),
        "augmentation": ", ".join(_spec(one) for one in config.augment),
        "temperature": _temperature(settings) if config.calibrate else "",
        "seed": str(config.seed),
        "training time": duration(_last(run, "train_runtime")),
    }
    return {name: value for name, value in found.items() if value}


def manifest_facts(manifest: RunManifest | None) -> dict[str, str]:
    """Return the machine, time and code of a run; empty if there is no manifest."""
    if manifest is None:
        return {}
    code, hardware = manifest.code, manifest.hardware
    changed = " with changes (code.diff)" if code.dirty else ""
    found = {
        "run": manifest.id,
        "status": manifest.status + (f": {manifest.error}" if manifest.error else ""),
        "started": f"{manifest.started_at:%Y-%m-%d %H:%M} UTC",
        "duration": duration(manifest.seconds),
        "resumed": ", ".join(f"at step {one.step}" for one in manifest.resumed),
        "command": " ".join(manifest.command),
        "code": f"version {code.version}" + (f", commit {code.commit[:12]}{changed}" if code.commit else ""),
        "machine": f"{hardware.system}, {hardware.cpu}, {hardware.cores} cores, {hardware.vector}",
        "memory": f"{hardware.memory_bytes / 2**30:.0f} GiB" if hardware.memory_bytes else "",
        "accelerators": ", ".join(hardware.accelerators),
        "processes": str(manifest.world_size),
        "python": manifest.python,
        "packages": ", ".join(f"{name} {version}" for name, version in manifest.packages.items()),
        "environment": ", ".join(f"{name}={value}" for name, value in manifest.environment.items()),
        "data": ", ".join(_identity(name, one) for name, one in manifest.data.items()),
        "processor": f"sha256 {manifest.processor[:12]}…" if manifest.processor else "",
        "weights": ", ".join(f"{name} sha256 {digest[:12]}…" for name, digest in manifest.weights.items()),
    }
    return {name: value for name, value in found.items() if value}


def replay_facts(run: RunFiles) -> tuple[bool, list[str]]:
    """Return whether the golden records were repeated at the end of the run, and the lines that say so.

    Without lines, the run has no result: it has no manifest, or an earlier version wrote it.
    """
    replay = None if run.manifest is None else run.manifest.verification
    if replay is None:
        return False, []
    return replay.ok, [line for line in (replay.summary(run.folder / "model"), replay.padding_note) if line]


def duration(seconds: float | None) -> str:
    """Format a duration; empty if it is unknown.

    Example:
        >>> duration(12.34), duration(177.9), duration(7384.0), duration(None)
        ('12 s', '2 min 58 s', '2 h 03 min', '')
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _identity(name: str, data: DataPrint) -> str:
    kind, digits = data.identity
    return f"{name} {kind} {digits[:12]}…"


def _threads(run: RunFiles) -> str:
    if run.manifest is not None:
        threads, processes = run.manifest.hardware.threads, run.manifest.world_size
        return f"{threads}" + (f" in each of {processes} processes" if processes > 1 else "")
    return str(run.config.cpu_threads or "")


def _spec(spec: str | Mapping[str, Any]) -> str:
    """Format a specification: `focal 2`, `drop_words`."""
    if isinstance(spec, str):
        return spec
    return ", ".join(name if isinstance(value, Mapping) else f"{name} {value}" for name, value in spec.items())


def _temperature(settings: Any) -> str:
    value = settings.get("temperature") if isinstance(settings, Mapping) else None
    return "" if value is None else f"{value:g}"


def _last(run: RunFiles, key: str) -> float | None:
    return next((float(entry[key]) for entry in reversed(run.log) if isinstance(entry.get(key), int | float)), None)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
