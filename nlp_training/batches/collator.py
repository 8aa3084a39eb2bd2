"""Documents to training batches, with the processor that is also used for prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import BatchFeature

from nlp_inference import Document, Processor
from nlp_inference.encoding.input_rows import Example
from nlp_training.batches.sample_weights import weighted


@dataclass(frozen=True, slots=True)
class DocumentCollator:
    """The `data_collator` of a Trainer whose data set contains Documents, or single windows of them.

    Args:
        processor: the processor, which encodes the documents exactly as for prediction, and adds the labels.
        sample_weight: the metadata key of a document's weight; `None` if all documents have the same weight.
    """

    processor: Processor
    sample_weight: str | None = None

    def __call__(self, documents: Sequence[Document | Example]) -> BatchFeature:
        """Return a batch of tensors with a row for each window, and with the weights if there are any."""
        if self.sample_weight is not None:
            documents = self._weighted(documents, key=self.sample_weight)
        return self.processor(documents, labels=True, return_tensors="pt")

    def _weighted(self, items: Sequence[Document | Example], *, key: str) -> list[Example]:
        documents = [item for item in items if isinstance(item, Document)]
        encoded = zip(self.processor.examples(documents, labels=True), documents, strict=True)
        return [
            example
            for item in items
            for example in ([item] if isinstance(item, Example) else weighted(*next(encoded), key))
        ]
