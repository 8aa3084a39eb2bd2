"""Any number of labels for the complete text."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from nlp_inference.document import Annotation, Category
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.windows import Pooling
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays, BatchDecodedTask, DocumentOutputs
from nlp_inference.tasks.labels import check_labels, label_settings
from nlp_inference.tasks.numeric import CERTAIN, sigmoid
from nlp_inference.tasks.temperature import Temperature, TemperatureTask

Threshold = Annotated[float, Field(ge=0, le=1)]
"""The minimum probability of a predicted label."""


class MultiLabelClassification(BatchDecodedTask, TemperatureTask):
    """Choose any number of labels for a text or a text pair. Each label is predicted independently.

    A category's score is its sigmoid probability after pooling. A label is predicted if its score is at least the
    threshold, so a document may have no label, in gold and in predictions. `Annotation.label_scores` has the score of
    every label. Training fits both kinds of thresholds to the validation documents if neither is set.

    Args:
        labels: the labels to choose from.
        pooling: how the logits of several windows become those of the text; see `Pooling`. `max` suits labels that one
            passage determines.
        symmetric: whether a text pair is read in both orders, in training too; the outputs are then their mean, so that
            the prediction does not depend on the order.
        threshold: the minimum score of a predicted label, from 0 to 1.
        thresholds: other thresholds of some labels.
        temperature: the divisor of pooled logits before the sigmoid; `calibrate: true` fits it in training.

    Example:
        >>> task = MultiLabelClassification(labels=("joy", "anger", "fear"), threshold=0.4, thresholds={"fear": 0.2})
        >>> task.least_scores.tolist()
        [0.4, 0.4, 0.2]
    """

    name = "multi-label-classification"
    auto_model = "AutoModelForSequenceClassification"
    encoder_head = "text"
    pipeline_tag = "text-classification"
    pools_windows = True
    needs = "categories"
    fitters = ("thresholds",)
    selection_score = "micro_average_precision"

    labels: tuple[str, ...]
    pooling: Pooling = "mean"
    symmetric: bool = False
    threshold: Threshold = 0.5
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    temperature: Temperature = 1.0

    _check_labels = field_validator("labels")(check_labels)

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        unknown = [label for label in self.thresholds if label not in self.labels]
        if unknown:
            raise ValueError(
                f"thresholds names the label {unknown[0]!r}, which is not among the {len(self.labels)} labels "
                f"{self.labels[:20]!r}"
            )
        return self

    @property
    def least_scores(self) -> NDArray[np.float64]:
        """`[labels]`, the threshold of each label."""
        return np.array([self.thresholds.get(label, self.threshold) for label in self.labels])

    def model_settings(self) -> dict[str, Any]:
        """`num_labels`, the names of the labels, and the loss of transformers for several of them."""
        return {**label_settings(self.labels), "problem_type": "multi_label_classification"}

    def head_bias(self, counts: Mapping[str, int], *, documents: int) -> NDArray[np.float32]:
        """Return the logarithm of the odds that a training document has the label, `[labels]`.

        The probabilities of a new head are then those of the training documents from the first step on. From
        probabilities near one half most steps of a short training with rare labels only lower all of them. Lin et al.
        (2017), https://arxiv.org/abs/1708.02002, section 3.3. Half a document is added on both sides.
        """
        found = np.array([counts.get(label, 0) for label in self.labels], dtype=np.float64)
        odds: NDArray[np.float32] = np.log((found + 0.5) / (documents - found + 0.5)).astype(np.float32)
        return odds

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """`labels` `[labels]`, float32: 1 for the labels of the document and 0 for all others, for each window.

        Raises:
            InvalidDocumentError: the document has no gold, or a label that is unknown.
        """
        present = self._gold(encoded)
        return [{"labels": present} for _ in rows]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Logits that are certain of the gold labels and of the absence of all others."""
        logits = (2 * self._gold(encoded) - 1) * CERTAIN * np.float32(self.temperature)
        return [{"logits": logits} for _ in rows]

    def _decode_batch(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Return the labels whose score is at least their threshold, best first, and the scores of all labels."""
        logits = np.stack([one.of_text("logits", self.pooling) for one in outputs])
        scores = sigmoid(logits, temperature=self.temperature)
        order = np.argsort(-scores, axis=1, kind="stable")
        chosen = np.take_along_axis(scores >= self.least_scores, order, axis=1)
        ranked = zip(scores.tolist(), order.tolist(), chosen.tolist(), strict=True)
        return [self._annotation(*of_document) for of_document in ranked]

    def _annotation(self, scores: Sequence[float], order: Sequence[int], chosen: Sequence[bool]) -> Annotation:
        best = [index for index, is_chosen in zip(order, chosen, strict=True) if is_chosen]
        return Annotation(
            categories=tuple(Category(label=self.labels[index], score=scores[index]) for index in best),
            label_scores=dict(zip(self.labels, scores, strict=True)),
        )

    def _gold(self, encoded: EncodedDocument) -> NDArray[np.float32]:
        """`[labels]`, 1 for the labels of the document and 0 for all others."""
        document = encoded.document
        if document.gold is None:
            raise InvalidDocumentError(
                f"document {document.id!r} has no gold; a document without any label has an empty list of labels"
            )
        wanted = {category.label for category in document.gold.categories}
        if unknown := sorted(wanted.difference(self.labels)):
            raise InvalidDocumentError(
                f"document {document.id!r}: gold label {unknown[0]!r} is not among the task's "
                f"{len(self.labels)} labels {self.labels[:20]!r}"
            )
        return np.array([label in wanted for label in self.labels], dtype=np.float32)
