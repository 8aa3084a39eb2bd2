"""From Documents to metrics: what is compared for each kind of gold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import evaluate

from nlp_inference.document import Annotation
from nlp_inference.tasks.base import Needs
from nlp_training.metrics.categories import CategoryAccuracy
from nlp_training.metrics.spans import SpanF1


@dataclass(frozen=True, slots=True)
class DocumentMetric:
    """How the annotations of documents are scored.

    Attributes:
        metric: makes a fresh metric.
        view: what the metric sees of an annotation.
        scores: names of the overall scores; greater is better.
    """

    metric: Callable[[], evaluate.Metric]
    view: Callable[[Annotation], Any]
    scores: tuple[str, ...]

    @property
    def best(self) -> str:
        """The score by which models are chosen if nothing else is said."""
        return self.scores[0]


def document_metric(needs: Needs) -> DocumentMetric:
    """The metric for tasks that learn from this kind of gold.

    Raises:
        KeyError: no metric compares this kind of gold.

    Example:
        >>> document_metric("spans").best
        'f1'
    """
    return _METRICS[needs]


def _spans(annotation: Annotation) -> list[dict[str, Any]]:
    return [{"start": span.start, "end": span.end, "label": span.label} for span in annotation.spans]


def _best_category(annotation: Annotation) -> str:
    return annotation.categories[0].label if annotation.categories else ""


_METRICS: Mapping[Needs, DocumentMetric] = {
    "spans": DocumentMetric(SpanF1, _spans, ("f1", "precision", "recall", "macro_f1")),
    "category": DocumentMetric(CategoryAccuracy, _best_category, ("accuracy", "macro_f1")),
}
