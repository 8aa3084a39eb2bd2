"""From Documents to metrics: what is compared for each kind of gold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import evaluate

from nlp_inference.document import Annotation, Document
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks.base import Needs
from nlp_training.metrics.calibration import Calibration
from nlp_training.metrics.categories import CategoryAccuracy
from nlp_training.metrics.matching import SpanMatching
from nlp_training.metrics.own import Metric
from nlp_training.metrics.paired import McNemar, PairedBootstrap
from nlp_training.metrics.ranking import LabelRanking
from nlp_training.metrics.spans import SpanF1
from nlp_training.metrics.tokens import TokenF1, token_spans

View = Callable[[Document, Annotation], tuple[Any, Any]]
"""Makes of a predicted document and its gold what a metric takes as prediction and as reference: small, no text."""


_TAKEN = (
    "support",
    "averages",
    "per_label",
    "interval",
    "coverage",
    "runtime",
    "documents_per_second",
    "samples_per_second",
    "loss",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One metric, and what it sees of a document."""

    metric: Callable[[], Any]
    view: View


@dataclass(frozen=True, slots=True)
class DocumentMetric:
    """How the annotations of documents are scored.

    Attributes:
        main: gives the overall scores, those of labels, and intervals.
        further: other metrics, by the names under which their scores stand.
        paired: makes a fresh test of two models; it takes what `main` sees.
        scores: names of the overall scores; greater is better.
    """

    main: Part
    further: Mapping[str, Part]
    paired: Callable[[], evaluate.Comparison]
    scores: tuple[str, ...]

    @property
    def best(self) -> str:
        """The score by which models are chosen if nothing else is said."""
        return self.scores[0]

    def view(self, document: Document, gold: Annotation) -> list[tuple[Any, Any]]:
        """What `main` sees of a predicted document and its gold, and then what each of `further` sees."""
        return [part.view(document, gold) for part in (self.main, *self.further.values())]


def document_metric(needs: Needs, own: Sequence[Metric] = ()) -> DocumentMetric:
    """The metric for tasks that learn from this kind of gold.

    Args:
        needs: the kind of gold.
        own: further metrics of the user.

    Raises:
        KeyError: no metric compares this kind of gold.
        InvalidSpecError: one of the user's has the name of another score.

    Example:
        >>> document_metric("spans").best
        'f1'
    """
    metric = _METRICS[needs]
    if not own:
        return metric
    names = [one.name for one in own]
    taken = {*metric.scores, *metric.further, *_TAKEN}
    for name in names:
        if name in taken or names.count(name) > 1:
            raise InvalidSpecError(f"metrics names {name!r}, which is another score already; give it another name")
    further = {one.name: Part(one.collect, one.view) for one in own}
    return replace(metric, further={**metric.further, **further}, scores=(*metric.scores, *names))


def _predicted(document: Document) -> Annotation:
    return document.predicted or Annotation()


def _spans(document: Document, gold: Annotation) -> tuple[Any, Any]:
    return _span_list(_predicted(document)), _span_list(gold)


def _span_list(annotation: Annotation) -> list[dict[str, Any]]:
    return [{"start": span.start, "end": span.end, "label": span.label} for span in annotation.spans]


def _tokens(document: Document, gold: Annotation) -> tuple[Any, Any]:
    found, wanted = token_spans(document.raw_text, _predicted(document).spans, gold.spans)
    return found, wanted


def _span_confidences(document: Document, gold: Annotation) -> tuple[Any, Any]:
    wanted = {(span.start, span.end, span.label) for span in gold.spans}
    scored = [span for span in _predicted(document).spans if span.score is not None]
    rights = [int((span.start, span.end, span.label) in wanted) for span in scored]
    return [span.score for span in scored], rights


def _best_category(document: Document, gold: Annotation) -> tuple[Any, Any]:
    return _first_label(_predicted(document)), _first_label(gold)


def _first_label(annotation: Annotation) -> str:
    return annotation.categories[0].label if annotation.categories else ""


def _category_confidence(document: Document, gold: Annotation) -> tuple[Any, Any]:
    best = _predicted(document).categories[:1]
    if not best or best[0].score is None:
        return [], []
    return [best[0].score], [int(best[0].label == _first_label(gold))]


def _category_scores(document: Document, gold: Annotation) -> tuple[Any, Any]:
    categories = _predicted(document).categories
    return [{"label": one.label, "score": one.score} for one in categories], _first_label(gold)


_METRICS: Mapping[Needs, DocumentMetric] = {
    "spans": DocumentMetric(
        Part(SpanF1, _spans),
        {
            "matching": Part(SpanMatching, _spans),
            "tokens": Part(TokenF1, _tokens),
            "calibration": Part(Calibration, _span_confidences),
        },
        PairedBootstrap,
        ("f1", "precision", "recall", "macro_f1"),
    ),
    "category": DocumentMetric(
        Part(CategoryAccuracy, _best_category),
        {
            "calibration": Part(Calibration, _category_confidence),
            "ranking": Part(LabelRanking, _category_scores),
        },
        McNemar,
        ("accuracy", "macro_f1"),
    ),
}

OVERALL_SCORES = frozenset(name for metric in _METRICS.values() for name in metric.scores)
"""The names of the scores of `main`, of every kind of gold."""
