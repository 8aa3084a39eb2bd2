"""Documents to training batches, by the processor that will serve the model, and by nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import BatchFeature

from nlp_inference import Document, Processor
from nlp_inference.layout import Example


@dataclass(frozen=True, slots=True)
class DocumentCollator:
    """The `data_collator` of a Trainer whose data set holds Documents, or single windows of them.

    Args:
        processor: encodes the documents, exactly as it does for prediction, and adds the labels.
    """

    processor: Processor

    def __call__(self, documents: Sequence[Document | Example]) -> BatchFeature:
        """A batch of tensors with a row for each window."""
        return self.processor(documents, labels=True, return_tensors="pt")
