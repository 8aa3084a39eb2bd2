"""PyTorch backend for the models of transformers and for modules with the same call signature."""

from nlp_inference._utils.extras import require_installed

require_installed(("torch",), extra="torch")

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from nlp_inference import architectures
from nlp_inference._utils.cores import cpu_name
from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference._utils.saved_files import check_saved_files, read_saved_file
from nlp_inference.architectures.bounded_building import bounded_building
from nlp_inference.architectures.checkpoint_files import find_weight_files
from nlp_inference.architectures.checkpoint_tensors import LAYER_NUMBER, read_headers
from nlp_inference.architectures.config_sizes import check_config_sizes
from nlp_inference.architectures.custom_architectures import runs_saved_code, saved_architecture
from nlp_inference.architectures.model_code import changed_source, check_sources
from nlp_inference.architectures.model_limits import model_limits
from nlp_inference.architectures.padding_families import counted_token, mixes_padding
from nlp_inference.backends.bf16 import warn_of_emulation
from nlp_inference.backends.labels import check_heads, check_labels
from nlp_inference.backends.packing import packed
from nlp_inference.backends.rows import (
    LEAST_TOKENS,
    merge_groups,
    rows_without_padding,
    split_by_count,
    stacked_outputs,
)
from nlp_inference.backends.torch_files import TORCH
from nlp_inference.errors import ArtefactError, CheckpointMismatchError
from nlp_inference.hub import WEIGHT_FILES, artefact_folder
from nlp_inference.processor.fingerprint import Fingerprint, warn_of_changes
from nlp_inference.tasks import Task

_CPU_TOKEN_BUDGET = 1024
_GPU_TOKEN_BUDGET = 32768
_PROBE_TOLERANCES = {"cpu": 1e-4, "cuda": 1e-2}
"""Relative difference of float32 outputs that is larger than the effect of the summation order, or of TF32 on a GPU."""

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.*")
_OPTIONAL_FILES = (*_ADAPTER_FILES, "generation_config.json")
"""Files that transformers reads in addition to `config.json` and the weights, if they exist."""


class TorchBackend:
    """Backend that runs a `torch.nn.Module` without gradients.

    If the outputs of a model depend on padding, its rows run one at a time; see `nlp_inference.backends.padding`.

    Args:
        model: called with the batch as keyword arguments; returns a mapping of named tensors.
        task: runs the model and names the outputs to return.

    Example:
        >>> backend = TorchBackend.from_pretrained("org/model", task=task)  # doctest: +SKIP
        >>> backend.forward(processor(["Ana lives in Rome"]))["logits"].shape  # doctest: +SKIP
        (1, 6, 3)
    """

    name = TORCH.name

    def __init__(self, model: torch.nn.Module, *, task: Task) -> None:
        self.limits = model_limits(model)
        self.model = packed(model)
        self.task = task
        self.device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        self.token_budget = _CPU_TOKEN_BUDGET if self.device.type == "cpu" else _GPU_TOKEN_BUDGET
        self.threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        self.rows_apart = mixes_padding(model)
        self.counted_token = counted_token(model)
        self.pad_token_id = 0  # replaced by check_padding
        self.dtype = str(next((one.dtype for one in model.parameters()), torch.float32)).removeprefix("torch.")
        self.probe_tolerance = _PROBE_TOLERANCES.get(self.device.type) if self.dtype == "float32" else None

    @property
    def padding_matters(self) -> bool:
        """Whether the outputs depend on padding, so that each row runs alone."""
        return self.rows_apart

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        task: Task,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "float32",
        revision: str = "main",
        hub_options: Mapping[str, Any] | None = None,
        fingerprint: Fingerprint | None = None,
        trust_remote_code: bool = False,
    ) -> "TorchBackend":
        """Load the model of `task` from a folder or the Hub, ready to predict.

        Args:
            name_or_path: a folder or a Hub id.
            task: the task that the model must fit.
            device: such as `"cuda:1"`; `None` uses a GPU if there is one.
            dtype: precision of the weights.
            revision: branch, tag or commit on the Hub.
            hub_options: `token`, `cache_dir` and `local_files_only`, as in transformers.
            fingerprint: the processor's record of the weights with which it was saved; `None` checks nothing.
            trust_remote_code: whether the code of a model class that was saved with the weights may run.

        Warns:
            FingerprintWarning: the weights were saved with another version of torch.
            PrecisionWarning: the precision is bfloat16, which this CPU emulates.

        Raises:
            ArtefactError: the saved model does not fit the task or the fingerprint, or the folder contains an adapter
                that the fingerprint does not name.
            CheckpointMismatchError: the saved weights do not contain all weights of the model.
        """
        model = load_model(
            name_or_path,
            task=task,
            dtype=dtype,
            revision=revision,
            hub_options=hub_options,
            fingerprint=fingerprint,
            trust_remote_code=trust_remote_code,
        )
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        backend = cls(model.to(device), task=task)
        warn_of_emulation(backend.dtype, backend.device)
        return backend

    @property
    def runs_on(self) -> str:
        """The name of the device, and the version of torch."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else cpu_name()
        return f"{name} ({self.device}), torch {torch.__version__}"

    def use_threads(self, count: int) -> None:
        """Set the number of CPU threads of the `forward` calls that the calling thread makes."""
        if self.device.type == "cpu":
            torch.get_num_threads()  # without this call, a new thread ignores set_num_threads
            torch.set_num_threads(count)

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch; see `Backend.forward`."""
        if self.rows_apart:
            rows = rows_without_padding(batch, least=LEAST_TOKENS, pad_token_id=self.pad_token_id)
            return stacked_outputs([self._run(row) for row in rows])
        return self._run(batch)

    def probe(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch as `Task.probe` does, which shows whether outputs depend on padding."""
        return self._grouped(self.task.probe, batch)

    def _run(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        return self._grouped(self.task.run, batch, names=self.task.outputs)

    def _grouped(
        self,
        run: Callable[..., Mapping[str, Any]],
        batch: Mapping[str, NDArray[np.int64]],
        *,
        names: Sequence[str] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Run the rows of a batch together, or those with the same number of `counted_token`."""
        groups = split_by_count(batch["input_ids"], self.counted_token)
        outputs = []
        for rows in groups:
            part = batch if len(groups) == 1 else {name: array[rows] for name, array in batch.items()}
            with torch.inference_mode():
                found = run(self.model, self._inputs(part))
            outputs.append({name: _as_array(found[name]) for name in names or found})
        return outputs[0] if len(groups) == 1 else merge_groups(groups, outputs)

    def _inputs(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, torch.Tensor]:
        return {name: self._on_device(array) for name, array in batch.items()}

    def _on_device(self, array: NDArray[np.int64]) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)  # a copy from pageable memory waits for the GPU


def _as_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return the values in single precision, or the integers."""
    array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return array


def load_model(
    name_or_path: str | Path,
    *,
    task: Task,
    dtype: str | torch.dtype = "float32",
    revision: str = "main",
    hub_options: Mapping[str, Any] | None = None,
    fingerprint: Fingerprint | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """Load the model of `task` on the CPU; arguments, warnings and errors are those of `from_pretrained`."""
    files = ("config.json", "generation_config.json", *WEIGHT_FILES, *(["*.py"] if trust_remote_code else []))
    folder, source = (
        artefact_folder(name_or_path, files=files, revision=revision, **(hub_options or {})),
        str(name_or_path),
    )
    with as_artefact_errors(f"the model of {source!r}"):
        check_saved_files(folder, _OPTIONAL_FILES)
        config = json.loads(read_saved_file(folder / "config.json"))
        if not trust_remote_code:
            _refuse_indirections(config)
        auto_model = model_class(task)
        custom: Any = saved_architecture(config, auto_model=auto_model, trusted=trust_remote_code, source=source)
        weights, adapters = find_weight_files(folder), _adapters_in(folder)
        _refuse_adapters(adapters, {} if fingerprint is None else fingerprint.weights)
        if fingerprint is not None:
            fingerprint.check_weights([*weights, *adapters], source=source)
            if trust_remote_code and custom is None and runs_saved_code(auto_model):
                check_sources(folder, fingerprint.architecture, source=source)
        shapes = [tensor.shape for tensor in read_headers(weights, prefixes={}).values()]
        check_config_sizes(config, source=source, shapes=shapes)
        with bounded_building(shapes, source=source):
            model, report = (custom or auto_model).from_pretrained(
                folder,
                dtype=dtype,
                output_loading_info=True,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
            )
    if fingerprint is not None:
        changes = fingerprint.runtime_changes(TORCH.runtime) + changed_source(type(model), fingerprint.architecture)
        warn_of_changes(changes, source=source)
    _check_weights(report, source)
    check_labels(model.config.id2label, task=task, source=source)
    check_heads(getattr(model.config, "task_heads", None), task=task, source=source)
    return model.eval()


def model_class(task: Task) -> Any:
    """Return the class that loads the model of `task`, from `nlp_inference.architectures` or from transformers."""
    return getattr(architectures, task.auto_model, None) or getattr(transformers, task.auto_model)


def _adapters_in(folder: Path) -> list[Path]:
    return sorted(path for pattern in _ADAPTER_FILES for path in folder.glob(pattern))


def _refuse_adapters(adapters: Sequence[Path], weights: Collection[str]) -> None:
    """Reject adapters that the fingerprint does not name: if peft is installed, transformers applies them silently.

    Source: https://huggingface.co/docs/transformers/peft
    """
    unknown = [path.name for path in adapters if path.name not in weights]
    if unknown:
        raise ArtefactError(
            f"the folder of the weights contains an adapter ({', '.join(unknown)}), which would change the model only "
            "on machines that have peft; remove it, or merge it into the weights before the model is saved: "
            "model = model.merge_and_unload()"
        )


def _refuse_indirections(config: Any) -> None:
    """Reject a configuration that names other weights, such as a pickle, or attention code on the Hub."""
    for one in config if isinstance(config, list) else ():
        _refuse_indirections(one)
    for key, value in config.items() if isinstance(config, dict) else ():
        _refuse_indirections(value)
        if (key.endswith("_implementation") and "/" in str(value)) or key == "transformers_weights":
            raise ArtefactError(
                f"config.json sets {key} to {value!r:.80}, which is code from the Hub, or weights that are not "
                "model.safetensors; remove the key, or if you trust this model, load it with trust_remote_code=True"
            )


def _check_weights(report: Mapping[str, Any], name_or_path: str | Path) -> None:
    problems = {name: sorted(map(str, report.get(name) or ())) for name in ("missing_keys", "mismatched_keys")}
    # of a layer that the model lacks: config.json is not that of the weights
    problems["unexpected_keys"] = sorted(filter(LAYER_NUMBER.search, report.get("unexpected_keys") or ()))
    if any(problems.values()):
        found = "; ".join(f"{name.replace('_', ' ')}: {', '.join(keys[:5])}" for name, keys in problems.items() if keys)
        raise CheckpointMismatchError(
            f"the weights in {str(name_or_path)!r} do not match the model ({found}), so its predictions would be "
            "wrong; save the complete model with its config.json after training it"
        )
