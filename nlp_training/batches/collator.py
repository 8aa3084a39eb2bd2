"""Documents to training batches, with the processor that is also used for prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import BatchFeature

from nlp_inference import Document, Processor
from nlp_inference.encoding.input_rows import Example
from nlp_training.batches.sample_weights import RowWeights


@dataclass(frozen=True, slots=True)
class DocumentCollator:
    """The `data_collator` of a Trainer whose data set contains Documents, or single windows of them.

    Args:
        processor: the processor, which encodes the documents exactly as for prediction, and adds the labels.
        sample_weight: the metadata key of a document's weight; `None` if all documents have the same weight.
        weigh_windows: whether the windows of a document share the weight of one row.
    """

    processor: Processor
    sample_weight: str | None = None
    weigh_windows: bool = False

    @property
    def weights(self) -> RowWeights:
        """The weights of the rows in the loss."""
        return RowWeights(self.sample_weight, by_document=self.weigh_windows)

    def __call__(self, documents: Sequence[Document | Example]) -> BatchFeature:
        """Return a batch of tensors with a row for each window, and with the weights if there are any."""
        if self.weights.any:
            documents = self._weighted(documents)
        return self.processor(documents, labels=True, return_tensors="pt")

    def _weighted(self, items: Sequence[Document | Example]) -> list[Example]:
        documents = [item for item in items if isinstance(item, Document)]
        encoded = zip(self.processor.examples(documents, labels=True), documents, strict=True)
        weighted = (self.weights.added(examples, one, windows=len(examples)) for examples, one in encoded)
        return [example for item in items for example in ([item] if isinstance(item, Example) else next(weighted))]
