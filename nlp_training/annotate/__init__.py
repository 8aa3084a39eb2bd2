"""Suggestions for annotators: predictions in the format of a tool, the most uncertain texts first, and corrections.

Suggestions are never gold: they are kept in a file of their own, with which corrected annotations are joined.
"""

from nlp_training.annotate.corrections import (
    Corrections,
    correction_tables,
    count_corrections,
    is_unchanged,
    join_suggestions,
)
from nlp_training.annotate.page import write_corrections_page
from nlp_training.annotate.suggest import Suggested, annotate
from nlp_training.annotate.uncertainty import Sort, decision_probabilities, uncertainty

__all__ = [
    "Corrections",
    "Sort",
    "Suggested",
    "annotate",
    "correction_tables",
    "count_corrections",
    "decision_probabilities",
    "is_unchanged",
    "join_suggestions",
    "uncertainty",
    "write_corrections_page",
]
