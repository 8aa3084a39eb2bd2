"""An exponential moving average of the weights, which is evaluated and saved in place of the trained weights."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from transformers import TrainerCallback

from nlp_training.config import EmaSettings

FILE = "ema.safetensors"
"""The average in a checkpoint, next to the weights."""


class WeightAverage(TrainerCallback):
    """The exponential moving average of the weights of a model (Polyak and Juditsky, 1992,
    https://doi.org/10.1137/0330046).

    Args:
        model: the model before training, without wrappers.
        settings: the decay.

    Attributes:
        average: the average; its `module` is a copy of the model.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> average = WeightAverage(model, EmaSettings(decay=0.5, warmup=False))
        >>> _ = nn.init.ones_(model.weight)
        >>> _ = average.on_optimizer_step(None, None, None, model=model)
        >>> average.average.module.weight.item()
        0.5
    """

    def __init__(self, model: nn.Module, settings: EmaSettings) -> None:
        self.settings = settings
        self.average = AveragedModel(model, avg_fn=self._averaged, use_buffers=True)
        self.average.n_averaged.fill_(1)  # otherwise the first update copies the weights

    def _averaged(self, average: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
        if not weight.is_floating_point():
            return weight
        decay = self.settings.at(int(count) - 1)
        return torch.lerp(weight, average, decay)

    def on_optimizer_step(self, *_: Any, **kwargs: Any) -> None:
        """Add the weights of `model` after a step to the average; see `TrainerCallback.on_optimizer_step`."""
        self.average.update_parameters(kwargs["model"])

    def save(self, folder: str | Path) -> None:
        """Write the average to a checkpoint."""
        save_model(self.average, str(Path(folder) / FILE))

    def load(self, folder: str | Path) -> None:
        """Restore the average of a checkpoint."""
        load_model(self.average, Path(folder) / FILE)
