"""Counting the trials of a study."""

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

ERROR = "error"
"""The attribute with the error of a failed trial."""


def counted_trials(study: Study) -> list[FrozenTrial]:
    """Return all trials in order, except killed and surplus ones, which are marked as failed without an error."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state != TrialState.FAIL or ERROR in trial.user_attrs]


def count_before(study: Study, number: int) -> int:
    """Return the number of counted trials that began before trial `number` in any process."""
    return sum(trial.number < number for trial in counted_trials(study))
