"""Predictions compared with gold, the files that keep them, and calibration."""

from nlp_training.evaluation.evaluate import (
    compare,
    evaluate_documents,
    evaluate_pair,
    of_all_processes,
    paired_test,
    predict_beside_gold,
    score,
    share_read,
)

__all__ = [
    "compare",
    "evaluate_documents",
    "evaluate_pair",
    "of_all_processes",
    "paired_test",
    "predict_beside_gold",
    "score",
    "share_read",
]
