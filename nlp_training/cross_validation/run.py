"""Running a cross-validation, from the configuration to scores of held-out documents."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shutil import rmtree
from statistics import mean, stdev
from typing import Any

from rich.console import Console

from nlp_inference import Document
from nlp_inference._utils import terminal
from nlp_inference._utils.locks import exclusive_lock
from nlp_inference.errors import InvalidSpecError, OutputError
from nlp_inference.files.records import to_json_line
from nlp_inference.registry import Spec
from nlp_training._utils.replacing import replacing_folder
from nlp_training.config import RunConfig
from nlp_training.cross_validation.fold_tables import folds_table, mean_table
from nlp_training.cross_validation.folds import Fold, FoldSettings, make_folds
from nlp_training.evaluation import compare, fit_task, score
from nlp_training.gold import document_metric
from nlp_training.metrics import Metric
from nlp_training.metrics.fold_interval import fold_interval
from nlp_training.reports.score_tables import score_tables
from nlp_training.runs.materials import Materials, Prepared, free_accelerator_memory
from nlp_training.runs.run_folder import LOCK_FILE
from nlp_training.trainer.build import fitters_of
from nlp_training.trainer.progress import RichProgress

POOLED = "all folds together"


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The result of a cross-validation.

    Attributes:
        folds: the scores of each fold.
        mean: by overall score, its `mean`, standard `deviation` and `interval` over the folds, see `fold_interval`.
        pooled: the scores of all predictions together, with bootstrap intervals over documents.
        predictions: the file with every document, its gold and the prediction of the model not trained on it.
    """

    folds: list[dict[str, Any]]
    mean: dict[str, dict[str, Any]]
    pooled: dict[str, Any]
    predictions: Path

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON, without the path of the predictions."""
        return {name: value for name, value in asdict(self).items() if name != "predictions"}


def cross_validate(
    config: RunConfig,
    settings: FoldSettings | None = None,
    *,
    console: Console | None = None,
    overwrite: bool = False,
) -> CrossValidation:
    """Divide the training documents into folds, and predict each fold with a model that was trained on the others.

    `data.validation` or `data.split` selects the best weights of each model, never the fold that it predicts; without
    either, the last weights are used. Test sets are not loaded. Labels are those of all training documents. Results are
    kept in `{output_dir}/{name}/folds`; a second start does not train completed folds again.

    Args:
        config: the configuration of the run.
        settings: how to divide the documents.
        console: the console for progress and tables.
        overwrite: whether to replace folds of another configuration, other documents or another division.

    Raises:
        OutputError: there are such folds, and `overwrite` is false.
        OutputLockedError: another process writes the folds.
        InvalidSpecError: the keys of the configuration are inconsistent, or there are fewer than two folds.
        InvalidDataError: the documents are not valid training data, or cannot be divided.
    """
    console, settings = console or terminal.Console(), settings or FoldSettings()
    if settings.folds < 2:
        raise InvalidSpecError(f"folds is {settings.folds!r}, but cross-validation needs at least two folds")
    materials = Materials.of(config)
    prepared = materials.prepare(config)
    folds = make_folds(materials.train, prepared.config, settings, validation=materials.validation or ())
    needs = prepared.processor.task.needs
    own = [Metric.from_spec(spec) for spec in config.metrics]
    with exclusive_lock(config.folder / "folds" / LOCK_FILE, purpose="cross-validation"):
        if not overwrite:
            _check_nothing_is_lost(folds)
        scores = _train_folds(folds, prepared, materials, console)
        return _conclude(folds, scores, console, needs=needs, own=own)


def _check_nothing_is_lost(folds: Sequence[Fold]) -> None:
    taken = [fold.folder for fold in folds if fold.is_taken()]
    if taken:
        raise OutputError(
            f"{str(taken[0])!r} contains a completed fold of another configuration, of other documents or another "
            f"division ({len(taken)} of {len(folds)} do); to replace them, pass --overwrite (in Python "
            "overwrite=True), or give the run another name: name=NAME"
        )


def _train_folds(
    folds: Sequence[Fold], prepared: Prepared, materials: Materials, console: Console
) -> list[dict[str, Any]]:
    """Return the scores of each fold, and train folds that are not completed."""
    best = document_metric(prepared.processor.task.needs).best
    scores = []
    for fold in folds:
        known = fold.scores()
        scores.append(known or _train_fold(fold, prepared, materials, console))
        name = f"{fold.folder.name} of {len(folds)}"
        console.print(f"{name}: {best} {scores[-1][best]:.4f}" + (", from an earlier start" if known else ""))
        free_accelerator_memory()
    return scores


def _train_fold(fold: Fold, prepared: Prepared, materials: Materials, console: Console) -> dict[str, Any]:
    """Train on the other folds and predict this one; the folder of the fold is written atomically."""
    config = prepared.config.model_copy(update={"output_dir": str(fold.folder.parent), "name": fold.folder.name})
    progress = RichProgress(console, best=document_metric(prepared.processor.task.needs).best)
    training = {"report_to": "none"}
    if not config.training.get("load_best_model_at_end"):
        training["save_strategy"] = "no"
    rmtree(fold.folder, ignore_errors=True)  # checkpoints, or a fold of another configuration
    fold_run = replace(prepared, config=config)
    trainer = materials.trainer(fold_run, indices=fold.trained, training=training, callbacks=[progress])
    try:
        trainer.train()
    finally:
        progress.stop()
    validation = materials.validation or []
    fit_task(
        trainer,
        fitters_of(config, trainer.processor.task, has_validation=bool(validation)),
        validation,
        seed=config.seed,
    )
    with replacing_folder(fold.folder) as folder:
        tested = [materials.train[index] for index in fold.tested]
        scores = trainer.score_documents(tested, keep=fold.predictions_in(folder))
        fold.save_scores(folder, scores)
    return scores


def _conclude(
    folds: Sequence[Fold], scores: list[dict[str, Any]], console: Console, *, needs: Spec, own: Sequence[Metric]
) -> CrossValidation:
    """Combine the folds, and write and show the result."""
    folder = folds[0].folder.parent
    predicted = [document for _, document in sorted((pair for fold in folds for pair in fold.predicted()), key=_index)]
    golds = [(document, document.gold) for document in predicted if document.gold is not None]
    pooled = score(compare(golds, needs=needs, own=own), needs=needs, own=own)
    names = document_metric(needs).names
    found = CrossValidation(scores, mean_scores(scores, names), pooled, folder / "predictions.jsonl")
    found.predictions.write_text("".join(to_json_line(one) + "\n" for one in predicted), encoding="utf-8")
    text = json.dumps(found.to_json(), indent=2) + "\n"
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    shown = {POOLED: pooled}
    console.print(*score_tables(shown))
    console.print(folds_table(scores, names), mean_table(found.mean), f"[bold]predictions[/bold] {found.predictions}")
    return found


def mean_scores(scores: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the mean of each score over the folds, its standard deviation and its interval.

    Example:
        >>> mean_scores([{"f1": 0.5}, {"f1": 0.5}], ["f1"])
        {'f1': {'mean': 0.5, 'deviation': 0.0, 'interval': [0.5, 0.5]}}
    """
    known = [name for name in names if all(name in one for one in scores)]  # a score may need what a task does not give
    of_folds = {name: [float(one[name]) for one in scores] for name in known}
    return {
        name: {"mean": mean(values), "deviation": stdev(values), "interval": fold_interval(values)}
        for name, values in of_folds.items()
    }


def _index(pair: tuple[int, Document]) -> int:
    return pair[0]
