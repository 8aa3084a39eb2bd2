"""The study: trials in a database, which stay there when the process ends, however it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from filelock import FileLock, ReadWriteLock, Timeout
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from nlp_inference._shorten import shorten
from nlp_training.config import RunConfig
from nlp_training.search.errors import SearchError
from nlp_training.search.settings import SearchConfig

ERROR = "error"
"""The attribute of a trial that failed which says why."""

_CONFIG = "config"
_NOT_COMPARED = ("trials", "timeout", "train_best", "storage")
_BUSY_SECONDS = 60


class Pruned:
    """That a trial was stopped because it did badly."""


Outcome = float | Pruned | str
"""What came of a trial: its score, that it was pruned, or why it failed."""


@contextmanager
def open_study(config: RunConfig) -> Iterator["SharedStudy"]:
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
            shared = SharedStudy(config, RDBStorage(url, engine_kwargs=options))
            shared.repeat_killed()
    except Timeout:  # others are at work
        pass
    with lock.read_lock():
        yield shared or SharedStudy(config, RDBStorage(url, engine_kwargs=options))


class SharedStudy:
    """Optuna's study, and what makes it the same however often it was interrupted.

    The values of a trial depend on the seed of the run, the number of trials before it and what came of these, so a
    search that was killed goes on as it would have. The sampler is the tree-structured Parzen estimator (Bergstra et
    al., 2011, https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization).

    Args:
        config: the run, with a section `search`.
        storage: where the trials are.
    """

    def __init__(self, config: RunConfig, storage: RDBStorage) -> None:
        self.settings = _settings(config)
        self.seed = config.seed
        self._asking = FileLock(config.folder / ".search.ask.lock")
        with self._asking:
            self.study = optuna.create_study(
                storage=storage,
                study_name=config.name,
                direction="maximize",
                pruner=_pruner(self.settings),
                load_if_exists=True,
            )
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

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials but those that were killed."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if not _was_killed(trial)]

    def ended(self) -> list[FrozenTrial]:
        """The trials that came to an end: the best first, then those that were stopped, then those that failed."""
        rank = {TrialState.COMPLETE: 0, TrialState.PRUNED: 1, TrialState.FAIL: 2}
        ended = [trial for trial in self.trials if trial.state in rank]
        return sorted(ended, key=lambda one: (rank[one.state], -(one.value or 0.0), one.number))

    def repeat_killed(self) -> None:
        """Have the trials tried again that seem to run; only for whoever works alone."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    def ask(self) -> optuna.Trial | None:
        """The next trial; `None` if there are as many as are wanted."""
        with self._asking:
            trials = self.trials
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if len(trials) >= self.settings.trials and not waiting:
                return None
            self.study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=self.settings.startup_trials, seed=_seed(self.seed, len(trials) - waiting)
            )
            return self.study.ask()

    def tell(self, trial: optuna.Trial, outcome: Outcome) -> FrozenTrial:
        """Say what came of a trial."""
        if isinstance(outcome, float):
            return self.study.tell(trial, outcome)
        if isinstance(outcome, Pruned):
            return self.study.tell(trial, state=TrialState.PRUNED)
        trial.set_user_attr(ERROR, shorten(outcome, width=1000))
        return self.study.tell(trial, state=TrialState.FAIL)

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


def _was_killed(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and ERROR not in trial.user_attrs


def _pruner(settings: SearchConfig) -> optuna.pruners.BasePruner:
    first = settings.warmup_evaluations + 1
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner(settings.startup_trials, n_warmup_steps=first)
    if settings.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
    return optuna.pruners.NopPruner()


def _seed(seed: int, trial: int) -> int:
    """A seed for each trial of each run."""
    return (seed * 1_000_003 + trial) % 2**32
