"""The training of a run, from its configuration to the artefact that production loads."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text
from transformers import set_seed

from nlp_inference import Document
from nlp_inference._utils import terminal
from nlp_training._utils.complete_checkpoints import last_complete
from nlp_training._utils.cpu import keep_freed_memory, use_cpu_threads
from nlp_training._utils.report_failure import report_failure
from nlp_training.artefact import DataReport, save_artefact
from nlp_training.artefact.golden import golden_documents
from nlp_training.artefact.verification import replay_golden, replay_lines
from nlp_training.batches.window_dataset import RowLengths, row_lengths
from nlp_training.config import RunConfig
from nlp_training.data_report.gold_limit import refuse_failed, refuse_lost_gold
from nlp_training.data_report.measure import Encoded, measure_split
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.evaluation import fit_task, mark_fitted
from nlp_training.evaluation.prediction_files import PREDICTIONS, PredictionFile, forget_predictions
from nlp_training.gold import document_metric
from nlp_training.provenance.manifest import Replay
from nlp_training.provenance.pinned_data import pin_data, unpinned_lines
from nlp_training.reports.html import report_link, write_report
from nlp_training.reports.score_tables import lost_gold_lines, score_tables, setup_table
from nlp_training.runs.record import InterruptedRunError, data_prints, recorded
from nlp_training.runs.resume import choose_checkpoint
from nlp_training.runs.run_folder import run_folder
from nlp_training.tracking import tracked
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.build import (
    build_checked_processor,
    build_trainer,
    fitters_of,
    resolve_for,
    warn_of_fitted_scores,
)
from nlp_training.trainer.progress import RichProgress
from nlp_training.trainer.splits import Splits, load_splits

_STREAM_SAMPLE = 1000
"""Number of documents of a streamed training set that are checked for lost gold."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The path of the artefact, its scores by data set, and the replay of its golden records.

    `verification` is `None` in processes other than the main one.
    """

    model: Path
    metrics: dict[str, dict[str, Any]]
    verification: Replay | None = None


def train(
    config: RunConfig,
    *,
    console: Console | None = None,
    resume: bool = False,
    overwrite: bool = False,
    stays: bool = True,
) -> RunResult:
    """Train, evaluate and save a model as `config` specifies.

    The artefact, in `{output_dir}/{name}/model`, contains the weights, the processor, the resolved configuration, the
    scores, a report of the data and a model card. Existing models and checkpoints are replaced only with `overwrite`,
    and an earlier model is kept until the new one is complete. The saved model is then loaded as production loads it,
    and its golden records are replayed. The data report of the training documents is measured before training, together
    with their lengths; that of the other splits after training, so that several processes begin at the same time.

    Args:
        config: the configuration of the run.
        console: the console for progress and tables.
        resume: whether to continue the stopped run from its last complete checkpoint, if there is one.
        overwrite: whether to replace the model and the checkpoints of an earlier run of this name.
        stays: whether the run's folder is kept. If false, no report is written and no path is printed.

    Raises:
        InvalidSpecError: the keys of the configuration are inconsistent, or differ from those of the run to resume.
        InvalidDataError: the documents are not valid training data, or `data.max_lost_gold` is exceeded.
        OutputError: a model or a checkpoint of this name exists, and neither `resume` nor `overwrite` is true.
        OutputLockedError: another process trains a run of this name.
        InterruptedRunError: training was interrupted by a signal, after it had written a checkpoint to resume from.
    """
    console = console or terminal.Console()
    with run_folder(config, resume=resume, overwrite=overwrite):
        set_seed(config.seed)
        use_cpu_threads(config.cpu_threads)
        config = pin_data(config, resume=resume)
        splits = load_splits(config)
        processor = build_checked_processor(config, splits)
        has_validation = "validation" in splits
        warn_of_fitted_scores(fitters_of(config, processor.task, has_validation=has_validation), splits)
        config = resolve_for(config, processor, has_validation=has_validation)
        progress = RichProgress(console, best=document_metric(processor.task.needs).best)
        trainer = build_trainer(config, processor, splits, callbacks=[progress])
        if trainer.args.device.type == "cpu":
            keep_freed_memory()
        return _train(Prepared(config, splits, trainer, progress, console), resume=resume, stays=stays)


class Prepared(NamedTuple):
    """The objects that a training needs."""

    config: RunConfig
    splits: Splits
    trainer: DocumentTrainer
    progress: RichProgress
    console: Console


def _train(run: Prepared, *, resume: bool, stays: bool) -> RunResult:
    config, splits, trainer, progress, console = run
    processor = trainer.processor
    is_main = trainer.is_world_process_zero()
    golden = golden_documents(config, processor, splits.get("validation", ())) if is_main else {}
    report: DataReport = {}
    replay: Replay | None = None
    if is_main:
        if "train" in splits:
            report["train"] = measure_training_set(trainer, splits["train"])
            refuse_failed("train", report["train"])
            refuse_lost_gold("train", report["train"], limit=config.data.max_lost_gold)
        else:
            documents: Any = trainer.train_dataset
            sample = measure_split(processor, islice(documents, _STREAM_SAMPLE), training=True)
            refuse_failed("train", sample)
            refuse_lost_gold("train", sample, limit=config.data.max_lost_gold)
        console.print(setup_table(trainer, splits), *lost_gold_lines(report), *unpinned_lines(config.data))
    data = data_prints(config, splits)
    checkpoint = choose_checkpoint(config, trainer, data, resume=resume, console=console)
    with (
        recorded(config, trainer, data, checkpoint=checkpoint, resume=resume) as record,
        tracked(config, trainer, checkpoint=checkpoint, console=console) as log_results,
    ):
        try:
            trainer.train(resume_from_checkpoint=checkpoint)
        finally:
            progress.stop()
        if trainer.interrupted:
            interruption = InterruptedRunError(_interruption(config, trainer))
            record.fail(interruption)
            trainer.accelerator.wait_for_everyone()  # the launcher kills all processes when the first one ends
            raise interruption
        trainer.gather_weights()
        fitters = fitters_of(config, processor.task, has_validation="validation" in splits)
        fit_task(trainer, fitters, splits.get("validation", []), seed=config.seed)
        metrics = score_splits(trainer, splits, config.folder)
        mark_fitted(metrics, fitters)
        model = config.folder / "model"
        if is_main:
            others = {
                name: measure_split(processor, documents) for name, documents in splits.items() if name != "train"
            }
            save_artefact(config, trainer, metrics, report | others, golden, model)
            replay = replay_golden(model)
            record.finish(model, verification=replay)
            console.print(*lost_gold_lines(others), *score_tables(metrics))
            for line in replay_lines(replay, model):
                console.print(line, soft_wrap=True)
            if stays:
                print_output_paths(config.folder, model, console)
            log_results(metrics)
    trainer.accelerator.wait_for_everyone()
    return RunResult(model, metrics, replay)


def _interruption(config: RunConfig, trainer: DocumentTrainer) -> str:
    last = last_complete(Path(trainer.args.output_dir or "."))
    state = trainer.state
    return (
        f"training of {config.name!r} was interrupted after step {state.global_step} of {state.max_steps}; "
        + (f"its last checkpoint is {last}; " if last is not None else "it has no checkpoint; ")
        + "no model was saved; to continue, pass --resume (in Python resume=True)"
    )


def print_output_paths(folder: Path, model: Path, console: Console) -> None:
    """Print the path of the model, and write the report. An error in the report does not fail the run."""
    console.print(Text.assemble(("model", "bold"), f" {model}"), soft_wrap=True)
    advice = f"the run is complete; to try again: nlp-training report {folder}"
    with report_failure(console, "the report could not be written", advice=advice):
        console.print(report_link(write_report(folder)), soft_wrap=True)


def score_splits(trainer: DocumentTrainer, splits: Splits, folder: Path) -> dict[str, dict[str, Any]]:
    """Score every data set except `train`, and keep the scored predictions in the run's folder."""
    files = {name: PredictionFile(folder / PREDICTIONS, name) for name in splits if name != "train"}
    if trainer.is_world_process_zero():
        forget_predictions(folder, but=list(files))
    return {name: trainer.score_documents(splits[name], keep=file) for name, file in files.items()}


def measure_training_set(trainer: DocumentTrainer, documents: list[Document]) -> SplitMeasures:
    """Measure the training documents and give the trainer their row lengths, so that they are encoded only once."""
    lengths: list[RowLengths] = []

    def watch(encoded: Encoded) -> None:
        lengths.extend(row_lengths(one) for _, one in encoded)

    measures = measure_split(trainer.processor, documents, watch=watch, training=True)
    trainer.take_row_lengths(documents, lengths)
    return measures
