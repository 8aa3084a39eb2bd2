"""Sampling of the values of trials, reproducible after interruptions of a search."""

from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from nlp_training.search.counting import count_before


class RepeatableSampler(BaseSampler):
    """Optuna's sampler with a new seed for each trial, so that values do not depend on earlier draws of the process.

    Values depend on the seed of the run, the number of earlier trials and their results. The sampler is the
    tree-structured Parzen estimator (Bergstra et al., 2011,
    https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization).

    Args:
        seed: the seed of the run.
        startup_trials: the number of trials with random values.
    """

    def __init__(self, seed: int, *, startup_trials: int) -> None:
        self.seed = seed
        self.startup_trials = startup_trials
        self._of_trial = TPESampler()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Create the sampler of this trial with its seed."""
        seed = (self.seed * 1_000_003 + count_before(study, trial.number)) % 2**32
        self._of_trial = TPESampler(n_startup_trials=self.startup_trials, seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See optuna."""
        return self._of_trial.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See optuna."""
        return self._of_trial.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See optuna."""
        return self._of_trial.sample_independent(study, trial, param_name, param_distribution)
