"""A Trainer that provides its current weights as an evaluation model during training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from nlp_inference import Predictor, Processor
from nlp_inference.backends.torch import TorchBackend
from nlp_training.config import EmaSettings
from nlp_training.trainer.evaluation_model import EvaluationModel
from nlp_training.trainer.resumable_trainer import ResumableTrainer
from nlp_training.trainer.sharding import prepare_fsdp
from nlp_training.trainer.weight_average import WeightAverage


class EvaluationModelTrainer(ResumableTrainer):
    """A Trainer with a Predictor for the model that it trains, whether passed or created by `model_init`.

    Args:
        args: the arguments of a Trainer.
        training_attention: the attention implementation while training, if it differs from that of the model.
        ema: how to average the weights, if the average is evaluated and saved in place of the trained weights.
        kwargs: the keyword arguments of a Trainer.
    """

    processor: Processor
    _evaluation_model: EvaluationModel
    _average: WeightAverage | None = None

    def __init__(
        self, *args: Any, training_attention: str | None = None, ema: EmaSettings | None = None, **kwargs: Any
    ) -> None:
        self._training_attention = training_attention
        self._ema = ema
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
        prepare_fsdp(self.args, self.accelerator, model, averages_weights=self._ema is not None)
        average = None if self._ema is None else self._start_average(model, self._ema)
        self._evaluation_model = EvaluationModel(
            model, training_attention=self._training_attention, sharded=self.is_fsdp_enabled, average=average
        )

    def _start_average(self, model: Any, settings: EmaSettings) -> torch.nn.Module:
        if self._average is not None:
            self.remove_callback(self._average)
        self._average = WeightAverage(model, settings)
        self.add_callback(self._average)
        averaged: torch.nn.Module = self._average.average.module
        return averaged

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
        """After training, make the evaluation model the model of the trainer; every process must call this."""
        with self._evaluation_model.of(self.accelerator, self.model) as model:
            gathered = model
        if gathered is not self.model:
            self.model, self.model_wrapped, self.optimizer = gathered, gathered, None
            self.accelerator.free_memory()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self._average is not None and self.args.should_save and output_dir is not None:
            self._average.save(output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self._average is not None:
            self._average.load(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self._average is not None and self.state.best_model_checkpoint is not None:
            self._average.load(self.state.best_model_checkpoint)
