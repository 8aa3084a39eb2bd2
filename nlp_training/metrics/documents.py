"""Scoring the annotations of documents: the metrics, their inputs, and the directions of their scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import evaluate

from nlp_inference.document import Annotation, Document

View = Callable[[Document, Annotation], tuple[Any, Any]]
"""A function that returns the inputs of a metric for a predicted document and its gold, without text."""

OTHER_KEYS = (
    "support",
    "averages",
    "per_label",
    "per_value",
    "interval",
    "coverage",
    "fitted",
    "heads",
    "runtime",
    "documents_per_second",
    "samples_per_second",
    "loss",
)
"""Keys of the scores of a data set that custom metrics may not use."""


@dataclass(frozen=True, slots=True)
class Part:
    """A metric and its view of a document.

    Attributes:
        metric: creates a fresh one.
        view: what it compares.
        overall: whether its scores are overall scores next to those of the main metric, and not under its name. Those
            that are null, because the task does not give what they need, are omitted.
    """

    metric: Callable[[], Any]
    view: View
    overall: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """The name of a score, and its direction."""

    name: str
    greater_is_better: bool = True


@dataclass(frozen=True, slots=True)
class DocumentMetric:
    """The scoring of the annotations of documents.

    Attributes:
        main: the metric with the overall scores, the scores of labels, and intervals.
        further: additional metrics, by the keys of their scores.
        paired: creates a paired test of two models, with the same inputs as `main`.
        scores: the overall scores; the first one selects models by default.
        details: other scores that tables show, by their display names, each with its keys in the result.
    """

    main: Part
    further: Mapping[str, Part]
    paired: Callable[[], evaluate.Comparison]
    scores: tuple[Score, ...]
    details: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The name of the score that selects models by default."""
        return self.scores[0].name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the overall scores."""
        return tuple(score.name for score in self.scores)

    def greater_is_better(self, name: str) -> bool:
        """Return the direction of a score. Unknown scores are better if they are greater, except losses."""
        known = {score.name: score.greater_is_better for score in self.scores}
        return known.get(name, not name.endswith("loss"))

    def view(self, document: Document, gold: Annotation) -> list[tuple[Any, Any]]:
        """Return the inputs of `main` for a predicted document and its gold, then those of each metric in `further`."""
        return [part.view(document, gold) for part in (self.main, *self.further.values())]


class RunningScores:
    """Scores of documents that are added in batches.

    Args:
        metric: the metrics.
        details: whether all views of documents will be added, or only that of the main metric.
    """

    def __init__(self, metric: DocumentMetric, *, details: bool = True) -> None:
        self._metric = metric
        further = {name: part.metric() for name, part in metric.further.items()} if details else {}
        self._metrics: dict[str, Any] = {"": metric.main.metric(), **further}
        self.documents = 0

    def add(self, seen: Sequence[Sequence[tuple[Any, Any]]]) -> None:
        """Add the views of some documents; see `DocumentMetric.view`."""
        if not seen:
            return
        self.documents += len(seen)
        for index, metric in enumerate(self._metrics.values()):
            pairs = [views[index] for views in seen]
            metric.add_batch(predictions=[found for found, _ in pairs], references=[gold for _, gold in pairs])

    def compute(self, *, details: bool = True) -> dict[str, Any]:
        """Return the scores of the documents; without `details`, only those of the main metric, without intervals."""
        scores: dict[str, Any] = dict(self._metrics[""].compute(**({} if details else {"resamples": 0})))
        for name, metric in self._metrics.items() if details else ():
            if not name:
                continue
            found = metric.compute()
            if self._metric.further[name].overall:
                scores |= {key: value for key, value in found.items() if value is not None}
            else:
                scores[name] = found
        return scores
