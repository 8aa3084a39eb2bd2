"""A search, from its configuration to the best one."""

from nlp_inference._utils.extras import require_installed

require_installed(("filelock", "optuna"), extra="search")

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import optuna
from optuna.trial import TrialState
from rich.console import Console

from nlp_inference.errors import InvalidSpecError
from nlp_training.config import RunConfig, save_config
from nlp_training.config.search import SearchConfig
from nlp_training.gold import selection_score
from nlp_training.losses import Loss
from nlp_training.provenance.pinned_data import pin_data
from nlp_training.runs.materials import Materials, Prepared
from nlp_training.runs.run import RunResult, train
from nlp_training.runs.run_folder import check_nothing_is_lost
from nlp_training.search.counting import ERROR
from nlp_training.search.errors import FailedTrialError, SearchError
from nlp_training.search.progress import TrialProgress
from nlp_training.search.space import suggest, values_of, with_values
from nlp_training.search.study import SharedStudy, open_study
from nlp_training.search.tables import importance_table, trial_record, trials_table
from nlp_training.search.trainer import SearchTrainer
from nlp_training.search.trial import chosen_score
from nlp_training.trainer.arguments import training_arguments

BEST_FILE = "best.yaml"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        metric: the score on the validation documents by which trials are compared.
        trials: see `trial_record`, the best first.
        importance: how much of the score's variance each key decides; empty where too few trials tell.
        config: the file with the best configuration.
        trained: the run with it, if it was to be trained.
    """

    metric: str
    trials: list[dict[str, Any]]
    importance: dict[str, float]
    config: Path
    trained: RunResult | None

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        fields = asdict(self) | {"config": str(self.config)}
        if self.trained is not None:
            replay = self.trained.verification
            verification = None if replay is None else replay.model_dump(mode="json")
            fields["trained"] |= {"model": str(self.trained.model), "verification": verification}
        return fields


def search(config: RunConfig, *, console: Console | None = None, overwrite: bool = False) -> SearchResult:
    """Try what the section `search` of a configuration says, and write the best one to `{output_dir}/{name}/best.yaml`.

    A search that was stopped, however that came, goes on where it was when it is started again: trials that had ended
    count, those that were under way are tried again. Test sets are not loaded before `train_best`. A trial that fails
    is recorded, and the search goes on. Several processes of one machine may search together: start the same command
    in each, with a device of its own.

    Args:
        config: with a section `search`.
        console: where to show progress and tables.
        overwrite: whether `train_best` may replace the model of another run of this name. Without it, a model of the
            same configuration is completed or scored again, and another one is an error.

    Raises:
        OutputError: `train_best` would replace a model.
        InvalidSpecError: the configuration, or what the space would make of it, does not fit together.
        InvalidDataError: the documents cannot be learnt from.
        SearchError: there is a study of this name with another configuration, or every trial failed.
    """
    console, config = console or Console(), pin_data(config)
    if config.search is None or not config.data.has_validation:
        lacks = "no section search" if config.search is None else "no data.validation or data.split, by which to choose"
        raise InvalidSpecError(f"the configuration {config.name!r} has {lacks}; see docs/search.md")
    searched_before = (config.folder / BEST_FILE).is_file()  # then a model may be that of the best trial
    if config.search.train_best and not overwrite and not searched_before:
        check_nothing_is_lost(config, resume=False)
    materials = Materials.of(config)
    prepared = materials.prepare(with_values(config, {}))
    check_space(config, config.search, prepared)
    score = chosen_score(prepared)
    with _quiet_optuna(), open_study(config, greater_is_better=score.greater_is_better) as study:
        _try_all(study, config, materials, console=console, metric=score.name)
        return _conclude(study, config, score.name, console, overwrite=overwrite)


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without optuna's lines for each trial, and the traceback of each that fails: progress and tables say it."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def check_space(config: RunConfig, settings: SearchConfig, prepared: Prepared) -> None:
    """Refuse a space with a key that is not known, or an end that does not fit, before anything is trained.

    Raises:
        InvalidSpecError: there is one.
    """
    for key, dimension in settings.space.items():
        for value in dimension.ends():
            try:
                tried = with_values(config, {key: value})
                training_arguments(tried, best_metric=selection_score(prepared.processor.task))
                if tried.loss is not None:
                    Loss.from_spec(tried.loss)
            except InvalidSpecError as error:
                raise InvalidSpecError(f"search.space: {key} cannot be {value!r}: {error}") from error


def _try_all(study: SharedStudy, config: RunConfig, materials: Materials, *, console: Console, metric: str) -> None:
    """Try until there are as many trials as are wanted, or the time is over."""
    settings = study.settings
    until = monotonic() + (settings.timeout or float("inf"))
    progress = TrialProgress(console)
    trainer = SearchTrainer(config, study, materials=materials, progress=progress, metric=metric)
    with progress.shown(len(study.ended()), settings.trials):
        try:
            trainer.hyperparameter_search(
                hp_space=partial(suggest, space=settings.space),  # type: ignore[arg-type]  # not of numbers only
                n_trials=study.lacking(),
                backend="optuna",
                timeout=until - monotonic(),
                catch=(FailedTrialError,),
                gc_after_trial=True,  # a trial that failed holds its model till then
                **study.options,
            )
        except ValueError:  # optuna's, asked for the best trial, where none came to its end: `_conclude` says why
            if trainer.is_in_train or any(trial.state == TrialState.COMPLETE for trial in study.ended()):
                raise


def _conclude(study: SharedStudy, config: RunConfig, metric: str, console: Console, *, overwrite: bool) -> SearchResult:
    """Show and write what was found, and train it if that is asked for."""
    ended = study.ended()
    if not ended or ended[0].state != TrialState.COMPLETE:
        why = f"the last one of {ended[-1].user_attrs.get(ERROR)}" if ended else "there was no time for any"
        raise SearchError(f"no trial came to its end: {why}; see search.trials, search.timeout and search.pruner")
    space = study.settings.space
    records = [trial_record(trial, space) for trial in ended]
    importance = study.importance()
    path = config.folder / BEST_FILE
    best = with_values(config, values_of(ended[0], space))
    save_config(best, path)
    console.print(trials_table(records, metric=metric, keys=list(space)))
    if importance:
        console.print(importance_table(importance))
    console.print(f"[bold]best[/bold] {path}")
    if not study.settings.train_best:
        return SearchResult(metric, records, importance, path, None)
    trained = train(best, console=console, resume=not overwrite, overwrite=overwrite)
    return SearchResult(metric, records, importance, path, trained)
