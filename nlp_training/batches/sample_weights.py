"""The weight of a document in the loss, from its metadata."""

from collections.abc import Iterable
from math import isfinite

import numpy as np

from nlp_inference import Document
from nlp_inference.encoding.input_rows import Example
from nlp_inference.errors import InvalidDocumentError

SAMPLE_WEIGHT = "sample_weight"
"""The name in a batch: `[rows]`, float32, next to the labels and removed with them."""


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


def weighted(examples: Iterable[Example], document: Document, key: str) -> list[Example]:
    """Return the windows of a document with its weight added to their targets."""
    weight = np.array(sample_weight(document, key), dtype=np.float32)
    return [example._replace(targets={**example.targets, SAMPLE_WEIGHT: weight}) for example in examples]


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
