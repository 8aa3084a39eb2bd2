"""The study: trials in a database, which persist if a process ends or is killed."""

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
    """Open the new or existing study of a configuration with the section `search`.

    Several processes of one machine can work on it simultaneously. If a process is the only one, trials that are marked
    as running were killed and are repeated.

    Raises:
        SearchError: the study belongs to another configuration.
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
    except Timeout:  # other processes are searching
        pass
    with lock.read_lock():
        storage = RDBStorage(url, engine_kwargs=options)
        yield shared or SharedStudy(config, storage, greater_is_better=greater_is_better)


class SharedStudy:
    """An optuna study whose result does not depend on interruptions.

    Args:
        config: the configuration of the run, with the section `search`.
        storage: the storage of the trials.
        greater_is_better: the direction of the score.

    Attributes:
        options: the arguments of `optuna.create_study` to open the study.
        study: the optuna study.
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
        """Check that the study belongs to this configuration, because scores of other configurations differ."""
        content = config.model_dump(mode="json", exclude_none=True)
        content["search"] = {key: value for key, value in content["search"].items() if key not in _NOT_COMPARED}
        now = json.loads(json.dumps(content))
        known = self.study.user_attrs.get(_CONFIG)
        if known is None:
            self.study.set_user_attr(_CONFIG, now)
        elif known != now:
            changed = sorted(key for key in {*known, *now} if known.get(key) != now.get(key))
            old, new = (shorten(json.dumps(one.get(changed[0])), width=200) for one in (known, now))
            raise SearchError(
                f"the search {config.name!r} was started with another configuration: {', '.join(changed)} changed, the "
                f"first of them from {old} to {new}; give this search another name, or remove the old database"
            )

    def ended(self) -> list[FrozenTrial]:
        """Return the finished trials: completed ones, the best first, then pruned ones, then failed ones."""
        rank = {TrialState.COMPLETE: 0, TrialState.PRUNED: 1, TrialState.FAIL: 2}
        ended = [trial for trial in counted_trials(self.study) if trial.state in rank]
        sign = -1 if self.study.direction == StudyDirection.MAXIMIZE else 1
        return sorted(ended, key=lambda one: (rank[one.state], sign * (one.value or 0.0), one.number))

    def repeat_killed(self) -> None:
        """Repeat the trials that are marked as running. Only the only process of a search may call this."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    def lacking(self) -> int:
        """Return the number of trials that have not begun yet."""
        begun = [trial for trial in counted_trials(self.study) if trial.state != TrialState.WAITING]
        return max(0, self.settings.trials - len(begun))

    def wants(self, trial: optuna.Trial) -> bool:
        """Return whether a trial is within the number of trials; other processes may have begun the last one."""
        return count_before(self.study, trial.number) < self.settings.trials

    def importance(self) -> dict[str, float]:
        """Return the share of the scores' variance that each key explains; empty if there are too few trials.

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
        raise SearchError(f"the configuration {config.name!r} has no section search; add one")
    return config.search


def _pruner(settings: SearchConfig) -> optuna.pruners.BasePruner:
    first = settings.warmup_evaluations + 1
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner(settings.startup_trials, n_warmup_steps=first)
    if settings.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
    return optuna.pruners.NopPruner()
