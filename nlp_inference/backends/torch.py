"""PyTorch: the models of transformers, and any module that is called like one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from nlp_inference import architectures
from nlp_inference.errors import ArtefactError, CheckpointMismatchError
from nlp_inference.tasks import Task

_CPU_TOKEN_BUDGET = 2048
_GPU_TOKEN_BUDGET = 32768


class TorchBackend:
    """Runs a `torch.nn.Module` without gradients.

    Args:
        model: called with the batch as keywords; returns a mapping of named tensors.
        task: asks the model, and names the outputs to return.
        token_budget: tokens of a batch; `None` chooses by device.

    Example:
        >>> backend = TorchBackend.from_pretrained("org/model", task=task)  # doctest: +SKIP
        >>> backend.forward(processor(["Ana lives in Rome"]))["logits"].shape  # doctest: +SKIP
        (1, 6, 3)
    """

    def __init__(self, model: torch.nn.Module, *, task: Task, token_budget: int | None = None) -> None:
        self.model = model
        self.task = task
        self.device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        default = _CPU_TOKEN_BUDGET if self.device.type == "cpu" else _GPU_TOKEN_BUDGET
        self.token_budget = token_budget or default

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
        token_budget: int | None = None,
    ) -> "TorchBackend":
        """Load the model of `task` from a folder or the Hub, ready to predict.

        Args:
            name_or_path: a folder or a Hub id.
            task: what the model must be for.
            device: such as `"cuda:1"`; `None` takes a GPU if there is one.
            dtype: precision of the weights.
            revision: branch, tag or commit on the Hub.
            hub_options: further arguments of transformers' `from_pretrained`, such as `token` and `cache_dir`.
            token_budget: tokens of a batch; `None` chooses by device.

        Raises:
            ArtefactError: the saved model is not one of this task.
            CheckpointMismatchError: the saved weights are not all of the model's.
        """
        model, report = model_class(task).from_pretrained(
            name_or_path, dtype=dtype, revision=revision, output_loading_info=True, **(hub_options or {})
        )
        _check_weights(report, name_or_path)
        _check_labels(model.config, task, name_or_path)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model.to(device).eval(), task=task, token_budget=token_budget)

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch; see `Backend.forward`."""
        inputs = {name: torch.from_numpy(array).to(self.device, non_blocking=True) for name, array in batch.items()}
        with torch.inference_mode():
            outputs = self.task.run(self.model, inputs)
        return {name: outputs[name].float().cpu().numpy() for name in self.task.outputs}


def model_class(task: Task) -> Any:
    """The class that loads the model of `task`: one of this library's architectures, or of transformers."""
    return getattr(architectures, task.auto_model, None) or getattr(transformers, task.auto_model)


def _check_weights(report: Mapping[str, Any], name_or_path: str | Path) -> None:
    problems = {name: sorted(map(str, report.get(name) or ())) for name in ("missing_keys", "mismatched_keys")}
    if any(problems.values()):
        found = "; ".join(f"{name.replace('_', ' ')}: {', '.join(keys[:5])}" for name, keys in problems.items() if keys)
        raise CheckpointMismatchError(
            f"the weights in {str(name_or_path)!r} are not those of the whole model ({found}), so that it would "
            "predict at random; save the model after training it"
        )


def _check_labels(config: Any, task: Task, name_or_path: str | Path) -> None:
    expected = task.model_settings().get("id2label")
    if expected is not None and dict(config.id2label) != expected:
        raise ArtefactError(
            f"the model {str(name_or_path)!r} predicts {config.id2label!r}, but its processor decodes {expected!r}; "
            "they were not saved together"
        )
