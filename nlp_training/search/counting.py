"""Which trials of a study count."""

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

ERROR = "error"
"""The attribute of a trial that failed which says why."""


def counted_trials(study: Study) -> list[FrozenTrial]:
    """All trials, in their order, but those that were killed or not wanted, which have failed of nothing."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state != TrialState.FAIL or ERROR in trial.user_attrs]


def count_before(study: Study, number: int) -> int:
    """How many trials count that were begun before one of them, in whichever process."""
    return sum(trial.number < number for trial in counted_trials(study))
