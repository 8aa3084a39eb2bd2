"""Metrics of the user: further scores of a run, by their names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from nlp_inference.document import Annotation, Document
from nlp_inference.registry import Registered

Scores = float | Mapping[str, Any]
"""One number, or several things that JSON can hold."""


class Metric(Registered, ABC):
    """A further score of predicted documents; a pydantic model, which the section `metrics` of a run names.

    A number is shown in the tables and curves, and `metric_for_best_model` may name it; `greater_is_better` states its
    direction. A mapping is written to `metrics.json` under the name of the metric. An installed package offers metrics
    as entry points of the group `nlp_training.metrics`.

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
    """Whether a greater number is the better one."""

    @abstractmethod
    def view(self, document: Document, gold: Annotation) -> tuple[Any, Any]:
        """What `score` takes of a document as prediction and as reference: small, since all of them are kept.

        Args:
            document: with `predicted`, and without its gold.
            gold: its gold.
        """

    @abstractmethod
    def score(self, predictions: Sequence[Any], references: Sequence[Any]) -> Scores:
        """Score what `view` gave for one document or more, in any order."""

    def collect(self) -> "Collected":
        """A fresh collection of what this metric sees."""
        return Collected(self)


class Collected:
    """What a metric sees, batch by batch; called as an `evaluate.Metric` is."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.predictions: list[Any] = []
        self.references: list[Any] = []

    def add_batch(self, *, predictions: Sequence[Any], references: Sequence[Any]) -> Self:
        """Keep some more."""
        self.predictions += predictions
        self.references += references
        return self

    def compute(self) -> Scores:
        """The scores of all that was kept."""
        return self.metric.score(self.predictions, self.references)
