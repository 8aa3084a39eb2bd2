"""A Trainer that provides its current weights as an evaluation model during training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from nlp_inference import Predictor, Processor
from nlp_inference.backends.torch import TorchBackend
from nlp_training.trainer.evaluation_model import EvaluationModel
from nlp_training.trainer.resumable_trainer import ResumableTrainer
from nlp_training.trainer.sharding import prepare_fsdp


class EvaluationModelTrainer(ResumableTrainer):
    """A Trainer with a Predictor for the model that it trains, whether passed or created by `model_init`.

    Args:
        args: the arguments of a Trainer.
        training_attention: the attention implementation while training, if it differs from that of the model.
        kwargs: the keyword arguments of a Trainer.
    """

    processor: Processor
    _evaluation_model: EvaluationModel

    def __init__(self, *args: Any, training_attention: str | None = None, **kwargs: Any) -> None:
        self._training_attention = training_attention
        super().__init__(*args, **kwargs)
        self.take_model(self.model)

    def call_model_init(self, trial: Any = None) -> torch.nn.Module:
        """Create a model with `model_init` and prepare it for training; see `Trainer.call_model_init`."""
        model: torch.nn.Module = super().call_model_init(trial)
        if hasattr(self, "_evaluation_model"):  # otherwise `__init__` prepares it
            self.take_model(model)
        return model

    def take_model(self, model: Any) -> None:
        """Prepare a model for training and evaluation."""
        prepare_fsdp(self.args, self.accelerator, model)
        self._evaluation_model = EvaluationModel(
            model, training_attention=self._training_attention, sharded=self.is_fsdp_enabled
        )

    @contextmanager
    def serving(self) -> Iterator[Predictor]:
        """Yield a Predictor with the current weights, as in production; training continues unchanged afterwards.

        If the weights are sharded (FSDP), every process must call this, and holds all of them in this context.
        """
        with (
            self._evaluation_model.of(self.accelerator, self.model) as model,
            Predictor(self.processor, TorchBackend(model, task=self.processor.task), max_characters=None) as predictor,
        ):
            yield predictor

    def gather_weights(self) -> None:
        """After training, gather sharded weights in every process; every process must call this."""
        with self._evaluation_model.of(self.accelerator, self.model) as model:
            gathered = model
        if gathered is not self.model:
            self.model, self.model_wrapped, self.optimizer = gathered, gathered, None
            self.accelerator.free_memory()
