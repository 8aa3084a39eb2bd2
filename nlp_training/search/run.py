"""Running a search, from its configuration to the best configuration."""

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

from nlp_inference._utils import terminal
from nlp_inference.errors import InvalidSpecError
from nlp_training.config import RunConfig, save_config
from nlp_training.config.search import SearchConfig
from nlp_training.gold import selection_score
from nlp_training.provenance.pinned_data import pin_data
from nlp_training.runs.materials import Materials, Prepared
from nlp_training.runs.run import RunResult, train
from nlp_training.runs.run_folder import check_nothing_is_lost
from nlp_training.search.counting import ERROR
from nlp_training.search.errors import FailedTrialError, SearchError
from nlp_training.search.progress import TrialProgress
from nlp_training.search.space import suggest, values_of, with_values
from nlp_training.search.study import SharedStudy, open_study
from nlp_training.search.trainer import SearchTrainer
from nlp_training.search.trial import chosen_score
from nlp_training.search.trial_tables import importance_table, trial_record, trials_table
from nlp_training.trainer.arguments import training_arguments
from nlp_training.trainer.build import check_components

BEST_FILE = "best.yaml"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search.

    Attributes:
        metric: the validation score by which trials are compared.
        trials: the records of trials, the best first; see `trial_record`.
        importance: the share of the score's variance that each key explains; empty if there are too few trials.
        config: the file with the best configuration.
        trained: the run with the best configuration, if it was trained.
    """

    metric: str
    trials: list[dict[str, Any]]
    importance: dict[str, float]
    config: Path
    trained: RunResult | None

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        fields = asdict(self) | {"config": str(self.config)}
        if self.trained is not None:
            replay = self.trained.verification
            verification = None if replay is None else replay.model_dump(mode="json")
            fields["trained"] |= {"model": str(self.trained.model), "verification": verification}
        return fields


def search(config: RunConfig, *, console: Console | None = None, overwrite: bool = False) -> SearchResult:
    """Run the search of the section `search`, and write the best configuration to `{output_dir}/{name}/best.yaml`.

    A search that was stopped for any reason continues when it is started again: finished trials count, and interrupted
    trials are repeated. Test sets are not loaded before `train_best`. A failed trial is recorded, and the search
    continues. Several processes of one machine can search together: start the same command in each, with its own
    device.

    Args:
        config: a configuration with the section `search`.
        console: the console for progress and tables.
        overwrite: whether `train_best` may replace the model of another run of this name. If false, a model of the same
            configuration is completed or scored again, and a model of another configuration is an error.

    Raises:
        OutputError: `train_best` would replace a model.
        InvalidSpecError: the configuration, or a value of the space, is invalid.
        InvalidDataError: the documents are not valid training data.
        SearchError: there is a study of this name with another configuration, or every trial failed.
    """
    console, config = console or terminal.Console(), pin_data(config)
    if config.search is None or not config.data.has_validation:
        lacks = (
            "no section search" if config.search is None else "no data.validation or data.split to compare trials on"
        )
        raise InvalidSpecError(f"the configuration {config.name!r} has {lacks}; see docs/search.md")
    searched_before = (config.folder / BEST_FILE).is_file()  # an existing model may be that of the best trial
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
    """Suppress optuna's log lines and tracebacks of trials, which the progress and tables report."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def check_space(config: RunConfig, settings: SearchConfig, prepared: Prepared) -> None:
    """Check the keys and the end values of a space before training.

    Raises:
        InvalidSpecError: a key is unknown, or an end value is invalid.
    """
    for key, dimension in settings.space.items():
        for value in dimension.ends():
            try:
                tried = with_values(config, {key: value})
                training_arguments(tried, best_metric=selection_score(prepared.processor.task))
                check_components(tried)
            except InvalidSpecError as error:
                raise InvalidSpecError(f"search.space: {key} cannot be {value!r}: {error}") from error


def _try_all(study: SharedStudy, config: RunConfig, materials: Materials, *, console: Console, metric: str) -> None:
    """Run trials until the number of trials or the timeout is reached."""
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
                gc_after_trial=True,  # a failed trial keeps its model until then
                **study.options,
            )
        except ValueError:  # from optuna if no trial was completed; `_conclude` reports the reason
            if trainer.is_in_train or any(trial.state == TrialState.COMPLETE for trial in study.ended()):
                raise


def _conclude(study: SharedStudy, config: RunConfig, metric: str, console: Console, *, overwrite: bool) -> SearchResult:
    """Show and write the result, and train the best configuration if `train_best` is set."""
    ended = study.ended()
    if not ended or ended[0].state != TrialState.COMPLETE:
        why = f"the last error is {ended[-1].user_attrs.get(ERROR)}" if ended else "the timeout was too short"
        raise SearchError(f"no trial was completed: {why}; see search.trials, search.timeout and search.pruner")
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
