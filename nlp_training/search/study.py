"""The study: trials in a database, which stay there when the process ends, however it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from filelock import FileLock, ReadWriteLock, Timeout
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nlp_inference._utils.shorten import shorten
from nlp_training.config import RunConfig
from nlp_training.config.search import SearchConfig
from nlp_training.search.counting import count_before, counted_trials
from nlp_training.search.errors import SearchError
from nlp_training.search.sampler import RepeatableSampler

_CONFIG = "config"
_NOT_COMPARED = ("trials", "timeout", "train_best", "storage")
_BUSY_SECONDS = 60


@contextmanager
def open_study(config: RunConfig, *, greater_is_better: bool = True) -> Iterator["SharedStudy"]:
    """The study of a configuration with a section `search`, new or as earlier starts of the search left it.

    Several processes of one machine may work on it at a time. Whoever finds itself alone knows that the trials which
    seem to run were killed, and has them tried again.

    Raises:
        SearchError: the study is that of another configuration.
    """
    settings = _settings(config)
    config.folder.mkdir(parents=True, exist_ok=True)
    lock = ReadWriteLock(config.folder / ".search.lock", is_singleton=False)
    url = settings.storage or f"sqlite:///{config.folder / 'search.db'}"
    options = {"connect_args": {"timeout": _BUSY_SECONDS}} if url.startswith("sqlite") else None
    shared = None
    try:
        with lock.write_lock(blocking=False):
            shared = SharedStudy(config, RDBStorage(url, engine_kwargs=options), greater_is_better=greater_is_better)
            shared.repeat_killed()
    except Timeout:  # others are at work
        pass
    with lock.read_lock():
        storage = RDBStorage(url, engine_kwargs=options)
        yield shared or SharedStudy(config, storage, greater_is_better=greater_is_better)


class SharedStudy:
    """Optuna's study, and what makes it the same however often it was interrupted.

    Args:
        config: the run, with a section `search`.
        storage: where the trials are.
        greater_is_better: direction of the score.

    Attributes:
        options: with which whoever tries the trials opens the study, as `optuna.create_study` takes them.
        study: to look at it.
    """

    def __init__(self, config: RunConfig, storage: RDBStorage, *, greater_is_better: bool = True) -> None:
        self.settings = _settings(config)
        self.seed = config.seed
        self.options: dict[str, Any] = {
            "storage": storage,
            "study_name": config.name,
            "sampler": RepeatableSampler(config.seed, startup_trials=self.settings.startup_trials),
            "pruner": _pruner(self.settings),
            "direction": "maximize" if greater_is_better else "minimize",
            "load_if_exists": True,
        }
        with FileLock(config.folder / ".search.begin.lock"):
            self.study = optuna.create_study(**self.options)
            self._check(config)

    def _check(self, config: RunConfig) -> None:
        """Trials of another configuration are other numbers."""
        content = config.model_dump(mode="json", exclude_none=True)
        content["search"] = {key: value for key, value in content["search"].items() if key not in _NOT_COMPARED}
        now = json.loads(json.dumps(content))
        known = self.study.user_attrs.get(_CONFIG)
        if known is None:
            self.study.set_user_attr(_CONFIG, now)
        elif known != now:
            changed = sorted(key for key in {*known, *now} if known.get(key) != now.get(key))
            was, is_now = (shorten(json.dumps(one.get(changed[0])), width=200) for one in (known, now))
            raise SearchError(
                f"the search {config.name!r} was begun with another configuration: {', '.join(changed)} changed, the "
                f"first of them from {was} to {is_now}; give this one another name, or remove the old one's database"
            )

    def ended(self) -> list[FrozenTrial]:
        """The trials that came to an end: the best first, then those that were stopped, then those that failed."""
        rank = {TrialState.COMPLETE: 0, TrialState.PRUNED: 1, TrialState.FAIL: 2}
        ended = [trial for trial in counted_trials(self.study) if trial.state in rank]
        sign = -1 if self.study.direction == StudyDirection.MAXIMIZE else 1
        return sorted(ended, key=lambda one: (rank[one.state], sign * (one.value or 0.0), one.number))

    def repeat_killed(self) -> None:
        """Have the trials tried again that seem to run; only for whoever works alone."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    def lacking(self) -> int:
        """How many of the trials that are wanted have not been begun."""
        begun = [trial for trial in counted_trials(self.study) if trial.state != TrialState.WAITING]
        return max(0, self.settings.trials - len(begun))

    def wants(self, trial: optuna.Trial) -> bool:
        """Whether a trial is one of those that are wanted: other processes may have begun the last of them."""
        return count_before(self.study, trial.number) < self.settings.trials

    def importance(self) -> dict[str, float]:
        """How much of what the scores vary each key decides, together 1; empty where too few trials tell.

        fANOVA: Hutter, Hoos and Leyton-Brown (2014), https://proceedings.mlr.press/v32/hutter14.html.
        """
        scores = [trial.value for trial in self.ended() if trial.state == TrialState.COMPLETE]
        if len(scores) < _TELLING or len(set(scores)) == 1:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.seed)
        return optuna.importance.get_param_importances(self.study, evaluator=evaluator)


_TELLING = 5


def _settings(config: RunConfig) -> SearchConfig:
    if config.search is None:
        raise SearchError(f"the configuration {config.name!r} has no section search; say there what to try")
    return config.search


def _pruner(settings: SearchConfig) -> optuna.pruners.BasePruner:
    first = settings.warmup_evaluations + 1
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner(settings.startup_trials, n_warmup_steps=first)
    if settings.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
    return optuna.pruners.NopPruner()
