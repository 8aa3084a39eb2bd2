"""A Trainer whose weights can be had as production runs them, while they are trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from nlp_inference import Predictor, Processor
from nlp_inference.backends.torch import TorchBackend
from nlp_training.trainer.evaluation_model import ServedWeights
from nlp_training.trainer.resumable_trainer import ResumableTrainer
from nlp_training.trainer.sharding import prepare_fsdp


class ServingTrainer(ResumableTrainer):
    """A Trainer that serves the model which it trains, be that given or made anew by `model_init`.

    Args:
        args: as those of a Trainer.
        training_attention: attention implementation while training, if it is not to be the model's own.
        kwargs: as those of a Trainer.
    """

    processor: Processor
    _served: ServedWeights

    def __init__(self, *args: Any, training_attention: str | None = None, **kwargs: Any) -> None:
        self._training_attention = training_attention
        super().__init__(*args, **kwargs)
        self.take_model(self.model)

    def call_model_init(self, trial: Any = None) -> torch.nn.Module:
        """A model as `model_init` makes it, which is trained from now on; see `Trainer.call_model_init`."""
        model: torch.nn.Module = super().call_model_init(trial)
        if hasattr(self, "_served"):  # or `__init__` goes on, and takes it
            self.take_model(model)
        return model

    def take_model(self, model: Any) -> None:
        """Prepare a model to be trained, and served meanwhile."""
        prepare_fsdp(self.args, self.accelerator, model)
        self._served = ServedWeights(model, training_attention=self._training_attention, sharded=self.is_fsdp_enabled)

    @contextmanager
    def serving(self) -> Iterator[Predictor]:
        """The weights as they are now, as production would run them; training goes on as before afterwards.

        Where weights are sharded (FSDP), every process must call this, and holds all of them for as long as it lasts.
        """
        with (
            self._served.of(self.accelerator, self.model) as model,
            Predictor(self.processor, TorchBackend(model, task=self.processor.task), max_characters=None) as predictor,
        ):
            yield predictor

    def make_whole(self) -> None:
        """After training, keep all weights in every process, if they were sharded; every process must call this."""
        with self._served.of(self.accelerator, self.model) as model:
            whole = model
        if whole is not self.model:
            self.model, self.model_wrapped, self.optimizer = whole, whole, None
            self.accelerator.free_memory()
