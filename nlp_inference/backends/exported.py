"""Metadata of exported files, and the checks on loading them that all backends of exported models share."""

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

T = TypeVar("T")

WEIGHTS_KEY = "weights"
"""Metadata key of the weights that were exported: SHA-256 by file name, in JSON."""

LIMITS_KEY = "limits"
"""Metadata key of the `ModelLimits` of the model, in JSON."""

ROWS_APART_KEY = "rows_apart"
"""Metadata key whose value is `true` if the outputs depend on padding, so that every row must run alone."""

QUANTIZATION_KEY = "quantization"
"""Metadata key of the kind of quantization of the activations: `dynamic`, `static` or empty."""


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
    """Return the metadata of an exported file.

    Args:
        weights: SHA-256 of the exported weights, by file name.
        dtype: the precision of the exported model.
        quantization: `dynamic` or `static` if it has 8-bit activations.
        limits: the input limits of the model.
        rows_apart: whether the outputs depend on padding, so that every row must run alone.

    Example:
        >>> export_metadata(weights={"model.safetensors": "5f2c"}, dtype="int8", quantization="static")
        {'dtype': 'int8', 'quantization': 'static', 'weights': '{"model.safetensors": "5f2c"}'}
    """
    metadata = {"dtype": dtype, QUANTIZATION_KEY: quantization, WEIGHTS_KEY: json.dumps(dict(weights))}
    if limits is not None:
        known = {name: value for name, value in limits._asdict().items() if value is not None}
        metadata[LIMITS_KEY] = json.dumps(known)
    if rows_apart:
        metadata[ROWS_APART_KEY] = "true"
    return metadata


def read_limits(metadata: Mapping[str, str]) -> ModelLimits:
    """Read the limits from the metadata of an exported file; older exports have none.

    Raises:
        ArtefactError: the value is not a JSON object of limits.
    """
    text = metadata.get(LIMITS_KEY)
    if text is None:
        return ModelLimits()
    found = json.loads(text)
    if not isinstance(found, dict) or not set(found) <= set(ModelLimits._fields):
        raise ArtefactError(f"the exported model has the limits {text:.80}; export it again: nlp-training export RUN")
    numbers = {name: number for name, number in found.items() if type(number) is int and number > 0}
    return ModelLimits(**numbers)


def read_weights(metadata: Mapping[str, str]) -> dict[str, str]:
    """Read the SHA-256 of the exported weights, by file name, from the metadata of an exported file.

    Raises:
        ArtefactError: the value is not a JSON object.
    """
    try:
        return dict(json.loads(metadata.get(WEIGHTS_KEY, "{}")))
    except (ValueError, TypeError) as error:
        raise ArtefactError(
            f"the exported model does not state the weights it was exported from: {error}; export it again"
        ) from error


def choose_inputs(batch: Mapping[str, T], names: Sequence[str]) -> dict[str, T]:
    """Return the inputs of a batch that an exported model reads.

    Raises:
        ArtefactError: the model reads an input that the processor does not make.

    Example:
        >>> choose_inputs({"input_ids": 1, "attention_mask": 2}, ["input_ids"])
        {'input_ids': 1}
        >>> choose_inputs({"input_ids": 1}, ["input_ids", "pixel_values"])
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: the exported model reads 'pixel_values', but the processor makes ...
    """
    if missing := [name for name in names if name not in batch]:
        raise ArtefactError(
            f"the exported model reads {missing[0]!r}, but the processor makes {', '.join(batch)}; export it again: "
            "nlp-training export RUN"
        )
    return {name: batch[name] for name in names}


def check_outputs(outputs: Collection[str], *, task: Task) -> None:
    """Check that an exported model has all outputs that a task reads.

    Raises:
        ArtefactError: an output is missing.
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
        descriptor: the descriptor of the backend.
        folder: the artefact.
        task: the task that the model must fit.
        dtype: the precision of the exported model.
        fingerprint: the processor's record of the weights and of their exports; `None` checks nothing.
        open_file: opens the main file.

    Warns:
        FingerprintWarning: the model was exported with another version of the package that runs it.

    Raises:
        ArtefactError: the file does not exist, was exported from other weights, is not the one that was verified, or
            `config.json` of the artefact names other labels than the task.
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
    """Return the files of an exported model, the main file first.

    Raises:
        ArtefactError: a file is missing; the message names the available precisions.
        InvalidSpecError: the backend does not run this precision.
    """
    descriptor.check_precision(dtype)
    files = descriptor.exported
    if files is None:
        raise InvalidSpecError(f"the backend {descriptor.name!r} runs the weights, not exported models")
    missing = next((name for name in files.paths(dtype) if not (folder / name).is_file()), None)
    if missing is None:
        return [folder / name for name in files.paths(dtype)]
    available = files.in_folder(folder)
    names = ", ".join(files.paths(one)[0] for one in available)
    hint = f"it has {names}: pass dtype={available[0]!r}" if available else "it has no other exported model"
    raise ArtefactError(
        f"{str(folder)!r} has no {missing}; {hint}, or export it where it was trained: "
        f"nlp-training export RUN --backend {descriptor.name} --dtype {dtype}"
    )


def available_threads() -> int:
    """Return the value of `OMP_NUM_THREADS`, as torch does, or the number of cores available to this process."""
    value = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if value.isdecimal() and int(value):
        return int(value)
    return available_cores()
