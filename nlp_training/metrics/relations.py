"""Scores of relations between spans."""

from collections.abc import Iterable, Sequence
from typing import Any

import datasets

from nlp_inference.document import Annotation
from nlp_training.metrics.paired import PairedBootstrap
from nlp_training.metrics.spans import SpanF1, SpanKey, span_feature, span_keys

RelationKey = tuple[SpanKey, SpanKey, str]
"""Head, tail and label."""


def list_relations(annotation: Annotation) -> list[dict[str, Any]]:
    """Return the relations of an annotation as the metrics read them, each with its spans.

    Example:
        >>> from nlp_inference import Relation, Span
        >>> spans = (Span(start=0, end=3, label="PER"), Span(start=13, end=17, label="LOC"))
        >>> [one] = list_relations(Annotation(spans=spans, relations=(Relation(head=0, tail=1, label="lives_in"),)))
        >>> one["label"], one["head"], one["tail"]["label"]
        ('lives_in', {'start': 0, 'end': 3, 'label': 'PER'}, 'LOC')
    """
    spans = [{"start": one.start, "end": one.end, "label": one.label} for one in annotation.spans]
    return [{"label": one.label, "head": spans[one.head], "tail": spans[one.tail]} for one in annotation.relations]


class RelationF1(SpanF1):
    """Precision, recall and F1 of relations whose label and whose two spans, with their labels, are correct.

    These are the strict scores of Bekoulis et al. (2018, https://arxiv.org/abs/1804.07847). Otherwise as `SpanF1`.

    Example:
        >>> ana, rome = {"start": 0, "end": 3, "label": "PER"}, {"start": 13, "end": 17, "label": "LOC"}
        >>> gold = [[{"label": "lives_in", "head": ana, "tail": rome}]]
        >>> found = [[{"label": "lives_in", "head": ana, "tail": {**rome, "label": "ORG"}}]]
        >>> RelationF1().compute(predictions=found, references=gold)["f1"]
        0.0
        >>> RelationBoundaryF1().compute(predictions=found, references=gold)["f1"]
        1.0
    """

    @staticmethod
    def feature() -> Any:
        """Return the `datasets` feature of a relation."""
        return {"label": datasets.Value("string"), "head": span_feature(), "tail": span_feature()}

    @staticmethod
    def keys(annotations: Iterable[Any]) -> set[Any]:
        """Return head, tail and label of each relation."""
        return _keys(annotations)


class RelationBoundaryF1(RelationF1):
    """Precision, recall and F1 of relations as `RelationF1`, but without comparing the labels of the spans."""

    @staticmethod
    def keys(annotations: Iterable[Any]) -> set[Any]:
        """Return the boundaries of head and tail, and the label of each relation."""
        return {(head[:2], tail[:2], label) for head, tail, label in _keys(annotations)}


class RelationBootstrap(PairedBootstrap):
    """Paired bootstrap test of the strict F1 of relations of two models; see `PairedBootstrap`."""

    @staticmethod
    def feature() -> Any:
        """Return the `datasets` feature of a relation."""
        return RelationF1.feature()

    @staticmethod
    def keys(annotations: Sequence[Any]) -> set[Any]:
        """Return head, tail and label of each relation."""
        return _keys(annotations)


def _keys(relations: Iterable[Any]) -> set[RelationKey]:
    found = set[RelationKey]()
    for one in relations:
        [head], [tail] = span_keys([one["head"]]), span_keys([one["tail"]])
        found.add((head, tail, one["label"]))
    return found
