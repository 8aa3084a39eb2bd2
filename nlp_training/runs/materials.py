"""Data shared by several trainings on the same documents: the documents, processors and encoded lengths."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import release_memory
from transformers import TrainerCallback, set_seed

from nlp_inference import Document, Processor
from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.cpu import keep_freed_memory, use_cpu_threads
from nlp_training.batches.window_dataset import RowLengths, row_lengths
from nlp_training.config import RunConfig
from nlp_training.data_report.gold_limit import refuse_failed, refuse_lost_gold
from nlp_training.data_report.measure import measure_split
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.build import build_checked_processor, build_trainer, resolve_for
from nlp_training.trainer.splits import Splits, load_splits


def free_accelerator_memory() -> None:
    """Free the accelerator memory of a training before the next model is loaded."""
    if torch.accelerator.is_available():
        release_memory()


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to be trained any number of times.

    Args:
        config: the resolved configuration.
        processor: the processor, with the labels of all training documents.
        lengths: the lengths of the encoded rows of each training document.
    """

    config: RunConfig
    processor: Processor
    lengths: Sequence[RowLengths]


@dataclass
class Materials:
    """The training and validation documents that several runs share. Test sets are not loaded, or loaded and dropped.

    Args:
        train: documents with gold.
        validation: documents with gold, if there are any.

    Raises:
        InvalidSpecError: several processes were started, or the training documents are streamed.
        InvalidDataError: the documents are not valid training data.
    """

    train: list[Document]
    validation: list[Document] | None
    _encoded: dict[str, tuple[Processor, list[RowLengths]]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: RunConfig) -> "Materials":
        """Load the documents that a configuration names, without its test sets."""
        processes = os.environ.get("WORLD_SIZE", "1")
        if processes != "1":
            raise InvalidSpecError(
                f"{processes} processes were started, but this command runs several trainings one after the other in "
                "one process; run it without accelerate launch or torchrun"
            )
        if config.data.train.streaming:
            raise InvalidSpecError(
                "data.train is streamed, but several trainings share its documents; remove data.train.streaming"
            )
        use_cpu_threads(config.cpu_threads)
        keep_freed_memory()
        untested = config.data.model_copy(update={"test": {}})
        splits = load_splits(config.model_copy(update={"data": untested}))
        return cls(splits["train"], splits.get("validation"))

    def prepare(self, config: RunConfig) -> Prepared:
        """Resolve a configuration. Configurations with the same base model and processor share the encoded documents.

        Raises:
            InvalidSpecError: the keys of the configuration are inconsistent.
            InvalidDataError: the documents are not valid training data, or `data.max_lost_gold` is exceeded.
        """
        key = config.model_dump_json(include={"model": {"base", "revision"}, "processor": True})
        if key not in self._encoded:
            processor = build_checked_processor(config, self._splits(self.train))
            self._encoded[key] = processor, self._measure(processor, limit=config.data.max_lost_gold)
        processor, lengths = self._encoded[key]
        resolved = resolve_for(config, processor, has_validation=self.validation is not None)
        return Prepared(resolved, processor, lengths)

    def _measure(self, processor: Processor, *, limit: float) -> list[RowLengths]:
        """Return the row lengths of the training documents; raise an error if too much of their gold is lost."""
        lengths: list[RowLengths] = []
        measures = measure_split(
            processor,
            self.train,
            watch=lambda encoded: lengths.extend(row_lengths(one) for _, one in encoded),
            training=True,
        )
        refuse_failed("train", measures)
        refuse_lost_gold("train", measures, limit=limit)
        return lengths

    def trainer(
        self,
        prepared: Prepared,
        *,
        indices: Sequence[int] | None = None,
        training: Mapping[str, Any] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> DocumentTrainer:
        """Build a trainer with the same initial weights as a separate run.

        Args:
            prepared: the run.
            indices: indices of the training documents to train on; all by default.
            training: keys of the section `training` to set.
            callbacks: additional callbacks.
        """
        config = prepared.config.model_copy(update={"training": prepared.config.training | dict(training or {})})
        chosen = range(len(self.train)) if indices is None else indices
        splits = self._splits([self.train[index] for index in chosen])
        set_seed(config.seed)
        trainer = build_trainer(config, prepared.processor, splits, callbacks=callbacks)
        trainer.take_row_lengths(splits["train"], [prepared.lengths[index] for index in chosen])
        return trainer

    def _splits(self, train: list[Document]) -> Splits:
        return {"train": train} if self.validation is None else {"train": train, "validation": self.validation}
