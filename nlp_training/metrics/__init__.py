"""Scores, as `evaluate.Metric` and `evaluate.Comparison` classes that need no network."""

from nlp_training.metrics.answers import AnswerBootstrap, AnswerF1
from nlp_training.metrics.calibration import Calibration
from nlp_training.metrics.categories import CategoryAccuracy
from nlp_training.metrics.custom import Metric
from nlp_training.metrics.documents import DocumentMetric
from nlp_training.metrics.label_set_ranking import LabelSetRanking
from nlp_training.metrics.label_sets import LabelSetBootstrap, LabelSetF1
from nlp_training.metrics.matching import SpanMatching
from nlp_training.metrics.paired import McNemar, PairedBootstrap
from nlp_training.metrics.paths import PathF1
from nlp_training.metrics.ranking import LabelRanking
from nlp_training.metrics.ranks import RankBootstrap, RankErrors
from nlp_training.metrics.relations import RelationBootstrap, RelationBoundaryF1, RelationF1
from nlp_training.metrics.spans import SpanF1
from nlp_training.metrics.texts import TextBootstrap, TextOverlap
from nlp_training.metrics.tokens import TokenF1
from nlp_training.metrics.values import ValueErrors, ValuesBootstrap

__all__ = [
    "AnswerBootstrap",
    "AnswerF1",
    "Calibration",
    "CategoryAccuracy",
    "DocumentMetric",
    "LabelRanking",
    "LabelSetBootstrap",
    "LabelSetF1",
    "LabelSetRanking",
    "McNemar",
    "Metric",
    "PairedBootstrap",
    "PathF1",
    "RankBootstrap",
    "RankErrors",
    "RelationBootstrap",
    "RelationBoundaryF1",
    "RelationF1",
    "SpanF1",
    "SpanMatching",
    "TextBootstrap",
    "TextOverlap",
    "TokenF1",
    "ValueErrors",
    "ValuesBootstrap",
]
