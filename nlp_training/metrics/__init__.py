"""Scores, as `evaluate.Metric` classes that need no network."""

from nlp_training.metrics.categories import CategoryAccuracy
from nlp_training.metrics.documents import DocumentMetric, document_metric
from nlp_training.metrics.spans import SpanF1

__all__ = ["CategoryAccuracy", "DocumentMetric", "SpanF1", "document_metric"]
