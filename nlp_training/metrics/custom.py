"""Custom metrics: additional scores of a run, by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from nlp_inference.document import Annotation, Document
from nlp_inference.registry import Registered

Scores = float | Mapping[str, Any]
"""One number, or a mapping of JSON values."""


class Metric(Registered, ABC):
    """A custom score of predicted documents: a pydantic model that the section `metrics` of a run names.

    A number appears in the tables and curves, and `metric_for_best_model` may name it; `greater_is_better` is its
    direction. A mapping is written to `metrics.json` under the name of the metric. An installed package can provide
    metrics as entry points of the group `nlp_training.metrics`.

    Example:
        >>> class Found(Metric):
        ...     name = "found_for_the_example"
        ...     label: str = "CITY"
        ...     def view(self, document, gold):
        ...         return any(span.label == self.label for span in document.predicted.spans), bool(gold.spans)
        ...     def score(self, predictions, references):
        ...         return sum(map(bool.__eq__, predictions, references)) / len(references)
        >>> Found().score([True, False], [True, True])
        0.5
    """

    kind = "metric"

    greater_is_better: ClassVar[bool] = True
    """Whether a greater number is better."""

    @abstractmethod
    def view(self, document: Document, gold: Annotation) -> tuple[Any, Any]:
        """Return the prediction and the reference of a document for `score`. They should be small because all are kept.

        Args:
            document: the document with `predicted` and without gold.
            gold: its gold.
        """

    @abstractmethod
    def score(self, predictions: Sequence[Any], references: Sequence[Any]) -> Scores:
        """Score the results of `view` for one or more documents, in any order."""

    def collect(self) -> "Collected":
        """Return an empty collection for this metric."""
        return Collected(self)


class Collected:
    """The collected predictions and references of a custom metric, with the interface of `evaluate.Metric`."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.predictions: list[Any] = []
        self.references: list[Any] = []

    def add_batch(self, *, predictions: Sequence[Any], references: Sequence[Any]) -> Self:
        """Add predictions and references."""
        self.predictions += predictions
        self.references += references
        return self

    def compute(self) -> Scores:
        """Return the scores of all predictions."""
        return self.metric.score(self.predictions, self.references)
