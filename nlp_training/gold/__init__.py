"""Kinds of gold, one per file: everything that training needs to know about the gold of a task.

A task names its kind in `Task.needs`. The kind defines the labels of a document, what is compared and with which
metrics, what makes gold unusable, and the mistakes in a report. No other code compares `Task.needs` with a name.
"""

from nlp_training.gold.answers import Answers
from nlp_training.gold.base import (
    Compared,
    GoldKind,
    Learnable,
    Link,
    Mistake,
    Value,
    WrittenText,
    document_metric,
    gold_kind,
    gold_kind_of,
    gold_kinds,
    greater_is_better,
    needs_of,
    selection_score,
)
from nlp_training.gold.categories import Categories
from nlp_training.gold.category import OneCategory
from nlp_training.gold.heads import Heads, HeadScores, documents_of_head, scores_of_heads, view_of_head
from nlp_training.gold.path import Path
from nlp_training.gold.rank import Rank
from nlp_training.gold.relations import Relations
from nlp_training.gold.spans import Spans
from nlp_training.gold.text import Text
from nlp_training.gold.values import Values

__all__ = [
    "Answers",
    "Categories",
    "Compared",
    "GoldKind",
    "HeadScores",
    "Heads",
    "Learnable",
    "Link",
    "Mistake",
    "OneCategory",
    "Path",
    "Rank",
    "Relations",
    "Spans",
    "Text",
    "Value",
    "Values",
    "WrittenText",
    "document_metric",
    "documents_of_head",
    "gold_kind",
    "gold_kind_of",
    "gold_kinds",
    "greater_is_better",
    "needs_of",
    "scores_of_heads",
    "selection_score",
    "view_of_head",
]
