"""Loading of weights from a file, a folder or the Hub into an existing model, with a report."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from nlp_inference.architectures.checkpoint_files import find_weight_files
from nlp_inference.architectures.checkpoint_report import CheckpointReport, Mismatch
from nlp_inference.architectures.checkpoint_tensors import StoredTensor, read_headers, read_values
from nlp_inference.errors import CheckpointMismatchError, InvalidSpecError


def load_checkpoint(
    model: torch.nn.Module,
    source: str | Path,
    *,
    revision: str = "main",
    prefixes: Mapping[str, str] | None = None,
    allow_missing: Collection[str] = (),
    allow_unexpected: Collection[str] = (),
    allow_mismatched: Collection[str] = (),
    hub_options: Mapping[str, Any] | None = None,
) -> CheckpointReport:
    """Load saved weights into `model` in place; if they do not fit, raise an error and leave the model unchanged.

    Only safetensors are read, never pickles, one file at a time. Weights keep their dtype and device in the model. Tied
    weights need one of their names in the checkpoint; non-persistent buffers need none.

    Args:
        model: any module with allocated memory (not on the `meta` device).
        source: a `.safetensors` file; a folder with `model.safetensors`, or with `model.safetensors.index.json` and
            its shards; the output folder of a `transformers.Trainer`, whose last `checkpoint-N` is used unless the
            folder itself contains weights; or a Hub id.
        revision: branch, tag or commit of a Hub id. Pin a commit to always get the same weights.
        prefixes: prefixes of names in the checkpoint and their replacements in the model, such as `{"model.": ""}`. The
            longest matching prefix is replaced; `""` matches every name.
        allow_missing: patterns (`*`, `?`, `[...]`) of weights that may keep their current values.
        allow_unexpected: patterns of tensors, by their names after renaming, that may be skipped.
        allow_mismatched: patterns of weights with another shape that may keep their current values.
        hub_options: for a Hub id, `token`, `cache_dir` and `local_files_only` as in transformers.

    Returns:
        The report of loaded weights and allowed differences.

    Raises:
        CheckpointMismatchError: a weight is missing, unexpected or mismatched and not allowed.
        ArtefactError: the checkpoint does not exist, is damaged, or is not in safetensors.
        InvalidSpecError: a pattern is passed instead of a list of patterns, or `prefixes` gives two tensors the same
            name.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from safetensors.torch import save_file
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 3))
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "model.safetensors"
        ...     save_file({"base.weight": torch.ones(1, 2), "base.bias": torch.zeros(1)}, path)
        ...     report = load_checkpoint(model, path, prefixes={"base.": "0."}, allow_missing=["1.*"])
        >>> report.loaded, report.missing, model[0].weight.tolist()
        (('0.weight', '0.bias'), ('1.weight', '1.bias'), [[1.0, 1.0]])
    """
    for name, patterns in (
        ("allow_missing", allow_missing),
        ("allow_unexpected", allow_unexpected),
        ("allow_mismatched", allow_mismatched),
    ):
        if isinstance(patterns, str):
            raise InvalidSpecError(f"{name} is the string {patterns!r}; expected a list of patterns: [{patterns!r}]")
    _check_memory(model)
    files = find_weight_files(source, revision=revision, hub_options=hub_options)
    comparison = _compare(model, read_headers(files, prefixes=prefixes or {}))
    report = CheckpointReport(
        source=str(source),
        files=tuple(files),
        loaded=tuple(comparison.loaded),
        missing=tuple(comparison.missing),
        unexpected=tuple(comparison.unexpected),
        mismatched=tuple(comparison.mismatched),
        ignored=tuple(comparison.ignored),
        allowed=_matching(comparison.missing, allow_missing)
        | _matching(comparison.unexpected, allow_unexpected)
        | _matching([mismatch.name for mismatch in comparison.mismatched], allow_mismatched),
    )
    report.raise_for_problems()
    _load(model, comparison.plan)
    return report


@dataclass
class _Comparison:
    plan: dict[str, StoredTensor] = field(default_factory=dict)  # the tensor to read, by name in the model
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[Mismatch] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def _check_memory(model: torch.nn.Module) -> None:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise CheckpointMismatchError(f"{name!r} has no shape yet; run the model once on an example, then load")
        if tensor.is_meta:
            raise CheckpointMismatchError(
                f"{name!r} is on the meta device, where nothing can be loaded; build the model on a real device"
            )


def _compare(model: torch.nn.Module, stored: Mapping[str, StoredTensor]) -> _Comparison:
    state = model.state_dict(keep_vars=True)
    comparison = _Comparison()
    ties: dict[object, list[str]] = {}
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            ties.setdefault(_identity(name, value), []).append(name)
        else:  # a result of `get_extra_state`, which safetensors cannot contain
            comparison.missing.append(name)
    for names in ties.values():
        _compare_tied(names, state[names[0]], stored, comparison)
    computed = {name: buffer for name, buffer in model.named_buffers(remove_duplicate=False) if name not in state}
    for name, tensor in stored.items():
        if name in computed and tensor.holds(computed[name]):
            comparison.ignored.append(name)
        elif not isinstance(state.get(name), torch.Tensor):
            comparison.unexpected.append(name)
    return comparison


def _identity(name: str, value: torch.Tensor) -> object:
    """Return a key that is equal for names of the state that share memory, shape and strides."""
    if not value.numel():
        return name
    return value.data_ptr(), value.device, value.dtype, value.shape, value.stride()


def _compare_tied(
    names: list[str], value: torch.Tensor, stored: Mapping[str, StoredTensor], comparison: _Comparison
) -> None:
    """Compare one weight of the model, under all of its names, with the checkpoint."""
    present = {name: stored[name] for name in names if name in stored}
    reasons = {name: reason for name, tensor in present.items() if (reason := tensor.misfit(value))}
    fitting = [name for name in present if name not in reasons]
    for name in fitting[1:]:
        if not present[name].holds(present[fitting[0]].read()):
            reasons[name] = f"tied to {fitting[0]} in the model, but other values in the checkpoint"
    if fitting:
        comparison.plan[fitting[0]] = present[fitting[0]]
    elif reasons:
        cause = next(iter(reasons))
        reasons = {name: reasons.get(name, f"tied to {cause} in the model") for name in names}
        present = {name: present.get(name, present[cause]) for name in names}
    for name in names:
        if name in reasons:
            found, expected = present[name].shape, tuple(value.shape)
            comparison.mismatched.append(Mismatch(name=name, found=found, expected=expected, reason=reasons[name]))
        else:
            (comparison.loaded if fitting else comparison.missing).append(name)


def _matching(names: Iterable[str], patterns: Collection[str]) -> frozenset[str]:
    return frozenset(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def _load(model: torch.nn.Module, plan: Mapping[str, StoredTensor]) -> None:
    """Copy the values into the model, with the values of one file in memory at a time."""
    keys: dict[Path, dict[str, str]] = {}
    for name, tensor in plan.items():
        keys.setdefault(tensor.file, {})[name] = tensor.key
    for file, names in keys.items():
        model.load_state_dict(read_values(file, names), strict=False)
