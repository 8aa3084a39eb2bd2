"""The weights of documents and of their windows in the loss."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference import Document
from nlp_inference.encoding.input_rows import Example
from nlp_inference.errors import InvalidDocumentError

SAMPLE_WEIGHT = "sample_weight"
"""The name in a batch: `[rows]`, float32, next to the labels and removed with them."""

WINDOW_WEIGHT = "window_weight"
"""The name in a batch: `[rows]`, float32, one divided by the number of windows of the document."""


def sample_weight(document: Document, key: str) -> float:
    """Return the weight in the metadata of a document under `key`.

    Raises:
        InvalidDocumentError: it is missing, or is not a finite number of at least 0.

    Example:
        >>> sample_weight(Document(raw_text="Hi", metadata={"weight": 2}), "weight")
        2.0
    """
    value = document.metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise InvalidDocumentError(
            f"document {document.id!r}: its metadata has {value!r} under {key!r}, but data.sample_weight expects a "
            "number of at least 0 there; write 1 for a document of normal weight"
        )
    return float(value)


@dataclass(frozen=True, slots=True)
class RowWeights:
    """Which weights the rows of a batch have.

    Args:
        sample_weight: the metadata key of a document's weight; `None` if all documents have the same weight.
        by_document: whether the windows of a document share the weight of one row.

    Example:
        >>> document = Document(raw_text="Hi", metadata={"weight": 2})
        >>> RowWeights("weight", by_document=True).of(document, windows=4)
        {'sample_weight': array(2., dtype=float32), 'window_weight': array(0.25, dtype=float32)}
    """

    sample_weight: str | None = None
    by_document: bool = False

    @property
    def any(self) -> bool:
        """Whether rows have weights at all."""
        return self.sample_weight is not None or self.by_document

    def of(self, document: Document, *, windows: int) -> dict[str, NDArray[Any]]:
        """Return the weights of each window of a document.

        Args:
            document: the document.
            windows: how many of its windows an epoch has.

        Raises:
            InvalidDocumentError: its metadata has no valid weight.
        """
        weights = {} if self.sample_weight is None else {SAMPLE_WEIGHT: sample_weight(document, self.sample_weight)}
        if self.by_document:
            weights[WINDOW_WEIGHT] = 1 / windows
        return {name: np.array(weight, dtype=np.float32) for name, weight in weights.items()}

    def added(self, examples: Iterable[Example], document: Document, *, windows: int) -> list[Example]:
        """Return windows of a document with its weights added to their targets."""
        if not self.any:
            return list(examples)
        weights = self.of(document, windows=windows)
        return [example._replace(targets={**example.targets, **weights}) for example in examples]


def check_sample_weights(documents: Iterable[Document], key: str) -> None:
    """Check the weights of all documents before training.

    Raises:
        InvalidDocumentError: a document has no weight, or all weights are 0.
    """
    weights = [sample_weight(document, key) for document in documents]
    if weights and not any(weights):
        raise InvalidDocumentError(
            f"all {len(weights)} training documents have the weight 0 under {key!r}; give some a positive weight"
        )
