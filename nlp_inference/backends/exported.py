"""What backends of exported models share: what an exported file says of itself, and the checks of loading one."""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from nlp_inference._utils.cores import available_cores
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.backends.base import Backend
from nlp_inference.backends.descriptors import BackendDescriptor
from nlp_inference.backends.labels import check_saved_labels
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_inference.processor.fingerprint import Fingerprint, warn_of_changes
from nlp_inference.tasks import Task

WEIGHTS_KEY = "weights"
"""Where the metadata of a file names the weights that it was made of: SHA-256 by file name, in JSON."""

LIMITS_KEY = "limits"
"""Where it states the `ModelLimits` of the model, in JSON."""

ROWS_APART_KEY = "rows_apart"
"""Where it says, with `true`, that its outputs depend on padding, so that every row must run alone."""

QUANTIZATION_KEY = "quantization"
"""Where it says where the scales of 8-bit activations come from: `dynamic`, `static` or nothing."""


class _Exported(Backend, Protocol):
    """A backend that runs one exported file."""

    metadata: dict[str, str]


_Loaded = TypeVar("_Loaded", bound=_Exported)


def export_metadata(
    *,
    weights: Mapping[str, str],
    dtype: str,
    quantization: str = "",
    limits: ModelLimits | None = None,
    rows_apart: bool = False,
) -> dict[str, str]:
    """What an exported file says of itself.

    Args:
        weights: SHA-256 of the weights that it was made of, by file name.
        dtype: its precision.
        quantization: `dynamic` or `static`, if it has 8-bit activations.
        limits: of the model that it was made of.
        rows_apart: whether its outputs depend on padding, so that every row must run alone.

    Example:
        >>> export_metadata(weights={"model.safetensors": "5f2c"}, dtype="int8", quantization="static")
        {'dtype': 'int8', 'quantization': 'static', 'weights': '{"model.safetensors": "5f2c"}'}
    """
    said = {"dtype": dtype, QUANTIZATION_KEY: quantization, WEIGHTS_KEY: json.dumps(dict(weights))}
    if limits is not None:
        said[LIMITS_KEY] = json.dumps({name: found for name, found in limits._asdict().items() if found is not None})
    if rows_apart:
        said[ROWS_APART_KEY] = "true"
    return said


def read_limits(metadata: Mapping[str, str]) -> ModelLimits:
    """The limits that the exporter wrote into a file; older exports say nothing of them.

    Raises:
        ArtefactError: what it says are no limits.
    """
    said = metadata.get(LIMITS_KEY)
    if said is None:
        return ModelLimits()
    found = json.loads(said)
    if not isinstance(found, dict) or not set(found) <= set(ModelLimits._fields):
        raise ArtefactError(f"the exported model has the limits {said:.80}; export it again: nlp-training export RUN")
    numbers = {name: number for name, number in found.items() if type(number) is int and number > 0}
    return ModelLimits(**numbers)


def read_weights(metadata: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of the weights that a file was exported from, by file name, as the file says.

    Raises:
        ArtefactError: it does not say so.
    """
    try:
        return dict(json.loads(metadata.get(WEIGHTS_KEY, "{}")))
    except (ValueError, TypeError) as error:
        raise ArtefactError(f"the exported model does not say what it was made of: {error}; export it again") from error


def check_outputs(outputs: Collection[str], *, task: Task) -> None:
    """Check that an exported model has all outputs that a task reads.

    Raises:
        ArtefactError: one is missing.
    """
    if missing := sorted(set(task.outputs) - set(outputs)):
        raise ArtefactError(
            f"the exported model has no output {missing[0]!r}, which the task {task.name!r} reads; export it "
            "again: nlp-training export RUN"
        )


def load_exported(
    descriptor: BackendDescriptor,
    folder: str | Path,
    *,
    task: Task,
    dtype: str,
    fingerprint: Fingerprint | None,
    open_file: Callable[[Path], _Loaded],
) -> _Loaded:
    """Load the exported model of an artefact, with all checks that do not depend on its format.

    Args:
        descriptor: of the backend.
        folder: the artefact.
        task: what the model must be for.
        dtype: which of the exported models.
        fingerprint: what the processor says of the weights, and of what was exported of them; `None` checks nothing.
        open_file: opens the main file.

    Warns:
        FingerprintWarning: it was exported with another version of the package that runs it.

    Raises:
        ArtefactError: there is no such file, it was exported from other weights, is not the one that was verified, or
            `config.json` beside it names other labels than the task.
        InvalidSpecError: the backend does not run this precision.
    """
    folder = Path(folder)
    paths = exported_paths(descriptor, folder, dtype=dtype)
    if fingerprint is not None:
        fingerprint.check_settings(folder, source=str(folder))
        for path in paths:
            fingerprint.check_export(path, source=str(folder))
    backend = open_file(paths[0])
    if fingerprint is not None:
        fingerprint.check_origin(read_weights(backend.metadata), exported=paths[0].name, source=str(folder))
        warn_of_changes(fingerprint.runtime_changes(descriptor.runtime), source=str(folder))
    check_saved_labels(folder, task=task)
    return backend


def exported_paths(descriptor: BackendDescriptor, folder: Path, *, dtype: str) -> Sequence[Path]:
    """The files of an exported model, the main one first.

    Raises:
        ArtefactError: one is missing; the message names the precisions that are there.
        InvalidSpecError: the backend does not run this precision.
    """
    descriptor.check_precision(dtype)
    files = descriptor.exported
    if files is None:
        raise InvalidSpecError(f"the backend {descriptor.name!r} runs the weights, and no exported models")
    missing = next((name for name in files.paths(dtype) if not (folder / name).is_file()), None)
    if missing is None:
        return [folder / name for name in files.paths(dtype)]
    there = files.in_folder(folder)
    names = ", ".join(files.paths(one)[0] for one in there)
    held = f"it holds {names}: say dtype={there[0]!r}" if there else "it holds none"
    raise ArtefactError(
        f"{str(folder)!r} has no {missing}, and {held}; or export it where it was trained: "
        f"nlp-training export RUN --backend {descriptor.name} --dtype {dtype}"
    )


def available_threads() -> int:
    """The value of `OMP_NUM_THREADS`, as in torch, or the number of cores that this process may use."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if told.isdecimal() and int(told):
        return int(told)
    return available_cores()
