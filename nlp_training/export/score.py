"""Comparison of the scores of an exported model with those of its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_inference.registry import Spec
from nlp_training.gold import document_metric

_POINTS = 100


@dataclass(frozen=True, slots=True)
class LabelDrop:
    """The F1 of one label before and after, and its number of gold annotations."""

    label: str
    before: float
    after: float
    support: int

    @property
    def points(self) -> float:
        """The loss in points."""
        return _POINTS * (self.before - self.after)


@dataclass(frozen=True, slots=True)
class ScoreDrop:
    """A score of the weights and of the exported model on the same documents.

    Attributes:
        name: the name of the score, such as `f1`.
        before, after: the scores of the weights and of the exported model, from 0 to 1.
        documents: the number of predicted documents.
        labels: the labels, the one with the largest loss first.
        greater_is_better: the direction of the score.
    """

    name: str
    before: float
    after: float
    documents: int
    labels: tuple[LabelDrop, ...]
    greater_is_better: bool = True

    @property
    def points(self) -> float:
        """The loss in points, which are hundredths of the score."""
        lost = self.before - self.after
        return _POINTS * (lost if self.greater_is_better else -lost)

    def worst(self, count: int = 3) -> list[LabelDrop]:
        """Return the labels with the largest losses."""
        return [one for one in self.labels[:count] if one.points > 0]


def score_drop(before: Mapping[str, Any], after: Mapping[str, Any], *, needs: Spec) -> ScoreDrop:
    """Compare two results of `evaluate_documents`.

    Example:
        >>> def scores(f1, city):
        ...     labels = {"CITY": {"f1": city, "support": 9}}
        ...     return {"f1": f1, "per_label": labels, "coverage": {"documents": 5}}
        >>> drop = score_drop(scores(0.95, 0.9), scores(0.945, 0.88), needs="spans")
        >>> round(drop.points, 2), drop.worst()[0].label
        (0.5, 'CITY')
    """
    metric = document_metric(needs)
    name = metric.best
    labels = [
        LabelDrop(label, values["f1"], after["per_label"].get(label, {"f1": 0.0})["f1"], values["support"])
        for label, values in before.get("per_label", {}).items()
    ]
    labels.sort(key=lambda one: -one.points)
    documents = before["coverage"]["documents"]
    return ScoreDrop(name, before[name], after[name], documents, tuple(labels), metric.greater_is_better(name))
