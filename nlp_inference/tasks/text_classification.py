"""One label for the whole text."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from nlp_inference.document import Annotation, Category
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.windows import Pooling
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays, BatchDecodedTask, DocumentOutputs
from nlp_inference.tasks.labels import check_labels, label_settings
from nlp_inference.tasks.numeric import CERTAIN, log_softmax
from nlp_inference.tasks.temperature import SoftmaxTask, Temperature


class TextClassification(BatchDecodedTask, SoftmaxTask):
    """Choose one of several labels for a text, or for a pair of texts.

    Args:
        labels: the labels to choose from.
        pooling: how the logits of several windows become those of the text: their `mean`, each window weighted by the
            tokens that it answers for; their `max`, label by label; or those of the `first` window.
        symmetric: whether a text pair is read in both orders, in training too; the outputs are then their mean, so that
            the prediction does not depend on the order.
        top_k: how many labels a prediction names, best first; `None` means all.
        temperature: what pooled logits are divided by before the softmax; `calibrate: true` fits it in training.

    A category's score is its softmax probability after pooling.

    Example:
        >>> TextClassification(labels=("spam", "ham")).model_settings()["id2label"]
        {0: 'spam', 1: 'ham'}
    """

    name = "text-classification"
    auto_model = "AutoModelForSequenceClassification"
    encoder_head = "text"
    pipeline_tag = "text-classification"
    pools_windows = True
    needs = "category"

    labels: tuple[str, ...]
    pooling: Pooling = "mean"
    symmetric: bool = False
    top_k: Annotated[int, Field(gt=0)] | None = 1
    temperature: Temperature = 1.0

    _check_labels = field_validator("labels")(check_labels)

    def model_settings(self) -> dict[str, Any]:
        """`num_labels` and the names of the labels."""
        return {**label_settings(self.labels), "problem_type": "single_label_classification"}

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """`labels` `[]`: the id of the document's label, for each window.

        Raises:
            InvalidDocumentError: the document does not have exactly one gold category, or one that is unknown.
        """
        label = np.array(self._gold_id(encoded), dtype=np.int64)
        return [{"labels": label} for _ in rows]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Logits that are certain of the gold label."""
        logits = np.zeros(len(self.labels), dtype=np.float32)
        logits[self._gold_id(encoded)] = CERTAIN
        return [{"logits": logits} for _ in rows]

    def _decode_batch(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Return the best labels of each document, best first."""
        logits = np.stack([one.of_text("logits", self.pooling) for one in outputs])
        scores = np.exp(log_softmax(logits, temperature=self.temperature))
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.top_k]
        ranked = zip(best.tolist(), np.take_along_axis(scores, best, axis=1).tolist(), strict=True)
        return [
            Annotation(
                categories=tuple(
                    Category(label=self.labels[label], score=score) for label, score in zip(*both, strict=True)
                )
            )
            for both in ranked
        ]

    def _gold_id(self, encoded: EncodedDocument) -> int:
        document = encoded.document
        categories = document.gold.categories if document.gold is not None else ()
        if len(categories) != 1:
            raise InvalidDocumentError(
                f"document {document.id!r} has {len(categories)} gold categories; {self.name} learns from exactly one"
            )
        if categories[0].label not in self.labels:
            raise InvalidDocumentError(
                f"document {document.id!r}: gold label {categories[0].label!r} is not among the task's "
                f"{len(self.labels)} labels {self.labels[:20]!r}"
            )
        return self.labels.index(categories[0].label)
