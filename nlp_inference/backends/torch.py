"""PyTorch: the models of transformers, and any module that is called like one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from nlp_inference.errors import ArtefactError
from nlp_inference.tasks import Task

_CPU_TOKEN_BUDGET = 2048
_GPU_TOKEN_BUDGET = 32768


class TorchBackend:
    """Runs a `torch.nn.Module` without gradients.

    Args:
        model: called with the batch as keywords; returns a mapping of named tensors.
        outputs: names of the outputs to return.
        token_budget: tokens of a batch; `None` chooses by device.

    Example:
        >>> backend = TorchBackend.from_pretrained("org/model", task=task)  # doctest: +SKIP
        >>> backend.forward(processor(["Ana lives in Rome"]))["logits"].shape  # doctest: +SKIP
        (1, 6, 3)
    """

    def __init__(self, model: torch.nn.Module, *, outputs: tuple[str, ...], token_budget: int | None = None) -> None:
        self.model = model
        self.outputs = outputs
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
        revision: str | None = None,
        token_budget: int | None = None,
    ) -> "TorchBackend":
        """Load the model of `task` from a folder or the Hub, ready to predict.

        Raises:
            ArtefactError: the saved model is not one of this task.
        """
        auto_model = getattr(transformers, task.auto_model)
        model = auto_model.from_pretrained(name_or_path, dtype=dtype, revision=revision or "main")
        _check_labels(model.config, task, name_or_path)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model.to(device).eval(), outputs=tuple(task.outputs), token_budget=token_budget)

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch; see `Backend.forward`."""
        inputs = {name: torch.from_numpy(array).to(self.device, non_blocking=True) for name, array in batch.items()}
        with torch.inference_mode():
            outputs = self.model(**inputs)
        return {name: outputs[name].float().cpu().numpy() for name in self.outputs}


def _check_labels(config: Any, task: Task, name_or_path: str | Path) -> None:
    expected = task.model_settings().get("id2label")
    if expected is not None and dict(config.id2label) != expected:
        raise ArtefactError(
            f"the model {str(name_or_path)!r} predicts {config.id2label!r}, but its processor decodes {expected!r}; "
            "they were not saved together"
        )
