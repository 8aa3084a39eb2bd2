"""Evaluation of predictions, the files that store them, and fitting of task fields after training."""

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
from nlp_training.evaluation.fitting import Fitter, FittingWarning, choose_fitters, fit_task, mark_fitted
from nlp_training.evaluation.no_answer import NoAnswerThreshold
from nlp_training.evaluation.temperature import Temperature
from nlp_training.evaluation.thresholds import Thresholds

__all__ = [
    "Fitter",
    "FittingWarning",
    "NoAnswerThreshold",
    "Temperature",
    "Thresholds",
    "choose_fitters",
    "compare",
    "evaluate_documents",
    "evaluate_pair",
    "fit_task",
    "mark_fitted",
    "of_all_processes",
    "paired_test",
    "predict_beside_gold",
    "score",
    "share_read",
]
