"""One of several ordered labels for the whole text, such as a rating or a severity."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from nlp_inference.document import Annotation, Category
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.windows import Pooling
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays, BatchDecodedTask, DocumentOutputs
from nlp_inference.tasks.labels import check_labels, label_settings
from nlp_inference.tasks.numeric import CERTAIN, sigmoid
from nlp_inference.tasks.temperature import Temperature, TemperatureTask


def rank_name(number: float) -> str:
    """Return the label of a rank that is written as a number.

    Example:
        >>> rank_name(4.0), rank_name(2.5)
        ('4', '2.5')
    """
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def rank_labels(annotation: Annotation) -> tuple[str, ...]:
    """Return the labels of the ranks of an annotation: its categories, or else its numbers as labels.

    Example:
        >>> rank_labels(Annotation(values={"score": 4.0}))
        ('4',)
    """
    if annotation.categories:
        return tuple(category.label for category in annotation.categories)
    return tuple(rank_name(value) for value in annotation.values.values())


class OrdinalRegression(BatchDecodedTask, TemperatureTask):
    """Choose one of several ordered labels for a text, or for a pair of texts.

    CORN (Shi, Cao and Raschka, 2021, https://arxiv.org/abs/2111.08851): the output `k` is the logit of the probability
    that the label is above the label `k`, given that it is not below it. The product of the first outputs is then the
    probability of a label above `k`, which never increases with `k`. The predicted label is the median: the number of
    these products above one half is its rank.

    Args:
        labels: the labels from the lowest to the highest, at least two; numbers are allowed.
        pooling: how the logits of several windows become those of the text; see `Pooling`.
        symmetric: whether a text pair is read in both orders, in training too; the outputs are then their mean, so that
            the prediction does not depend on the order.
        temperature: the divisor of pooled logits in the probabilities; `calibrate: true` fits it in training. The
            predicted label is that of the logits without a divisor.

    A category's score is the probability of its label, and `Annotation.label_scores` has that of every label in order.
    Gold is a category, or one number that is a label.

    Example:
        >>> OrdinalRegression(labels=("low", "medium", "high")).model_settings()["id2label"]
        {0: '> low', 1: '> medium'}
    """

    name = "ordinal-regression"
    auto_model = "AutoModelForSequenceClassification"
    pipeline_tag = "text-classification"
    encoder_head = "text"
    pools_windows = True
    needs = "rank"
    default_loss: ClassVar[str | None] = "corn"

    labels: tuple[str, ...]
    pooling: Pooling = "mean"
    symmetric: bool = False
    temperature: Temperature = 1.0

    @field_validator("labels", mode="before")
    @classmethod
    def _name_numbers(cls, labels: Any) -> Any:
        if not isinstance(labels, list | tuple):
            return labels
        is_number = [isinstance(one, int | float) and not isinstance(one, bool) for one in labels]
        return [rank_name(one) if number else one for one, number in zip(labels, is_number, strict=True)]

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(check_labels(labels)) < 2:
            raise ValueError(f"labels has only {labels[0]!r}; an order needs at least two labels")
        return labels

    @property
    def names_one_label(self) -> bool:
        """Whether each prediction has exactly one category, which is always so."""
        return True

    def model_settings(self) -> dict[str, Any]:
        """Return the number and the names of the outputs, one fewer than labels; each is a sigmoid."""
        outputs = [f"> {label}" for label in self.labels[:-1]]
        return {**label_settings(outputs), "problem_type": "multi_label_classification"}

    def head_bias(self, counts: Mapping[str, int], *, documents: int) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the logarithm of the odds that a training document is above each label, if it is not below it.

        Half a document is added on both sides.
        """
        found = np.array([counts.get(label, 0) for label in self.labels], dtype=np.float64)
        above = np.cumsum(found[::-1])[::-1][1:]
        odds: NDArray[np.float32] = np.log((above + 0.5) / (found[:-1] + 0.5)).astype(np.float32)
        return odds

    def gold_problem(self, gold: Annotation) -> str | None:
        """Refuse a label or a number that is not among the labels."""
        unknown = [label for label in rank_labels(gold) if label not in self.labels]
        if not unknown:
            return None
        return f"has the rank {unknown[0]!r}, which is not among the labels {', '.join(self.labels[:20])}"

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """`labels` `[labels - 1]`, float32: 1 for each label below gold, 0 for gold, NaN above it, for each window.

        Raises:
            InvalidDocumentError: the document does not have exactly one rank, or one that is unknown.
        """
        rank, outputs = self._gold_rank(encoded), np.arange(len(self.labels) - 1)
        above = np.where(outputs < rank, 1.0, np.where(outputs == rank, 0.0, np.nan)).astype(np.float32)
        return [{"labels": above} for _ in rows]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return logits that are certain of the gold label."""
        is_above = np.arange(len(self.labels) - 1) < self._gold_rank(encoded)
        logits = np.where(is_above, CERTAIN, -CERTAIN).astype(np.float32) * np.float32(self.temperature)
        return [{"logits": logits} for _ in rows]

    def _decode_batch(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Return the median label of each document, and the probabilities of all labels."""
        logits = np.stack([one.of_text("logits", self.pooling) for one in outputs])
        ranks = (np.cumprod(sigmoid(logits), axis=1) > 0.5).sum(axis=1)
        above = np.cumprod(sigmoid(logits, temperature=self.temperature), axis=1)
        edges = np.ones((len(above), 1)), np.zeros((len(above), 1))
        scores = np.hstack([edges[0], above]) - np.hstack([above, edges[1]])
        return [
            Annotation(
                categories=(Category(label=self.labels[rank], score=of_labels[rank]),),
                label_scores=dict(zip(self.labels, of_labels, strict=True)),
            )
            for rank, of_labels in zip(ranks.tolist(), scores.tolist(), strict=True)
        ]

    def _gold_rank(self, encoded: EncodedDocument) -> int:
        document = encoded.document
        gold = document.gold or Annotation()
        found = rank_labels(gold)
        if len(found) != 1:
            raise InvalidDocumentError(
                f"document {document.id!r} has {len(found)} gold ranks; {self.name} learns from exactly one"
            )
        if (problem := self.gold_problem(gold)) is not None:
            raise InvalidDocumentError(f"document {document.id!r} {problem}")
        return self.labels.index(found[0])
