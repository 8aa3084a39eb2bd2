"""A run, from its configuration to the artefact that production loads."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
    set_seed,
)
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from nlp_inference import Document, Processor, Task
from nlp_inference.architectures.checkpoint_files import find_weight_files
from nlp_inference.backends.torch import model_class
from nlp_inference.drift.profile import PROFILE_FILE
from nlp_inference.errors import InvalidSpecError
from nlp_inference.fingerprint import Fingerprint
from nlp_inference.golden import record_artefact
from nlp_inference.golden.schema import Origin
from nlp_training.arguments import resolve_config, training_arguments
from nlp_training.artefact import replacing_folder
from nlp_training.augment import Augmenter
from nlp_training.base_model import locate_base
from nlp_training.config import RunConfig, save_config
from nlp_training.cpu import keep_freed_memory, use_cpu_threads
from nlp_training.data import check_documents, load_documents
from nlp_training.data_report.measure import Encoded, measure_split
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.golden import golden_documents
from nlp_training.input_profile import training_profile
from nlp_training.labels import with_labels
from nlp_training.metrics import document_metric
from nlp_training.progress import RichProgress
from nlp_training.reports.model_card import model_card
from nlp_training.reports.tables import (
    coverage_table,
    detail_table,
    lost_gold_lines,
    per_label_table,
    score_table,
    setup_table,
)
from nlp_training.temperature import calibrate, check_calibration
from nlp_training.trainer import DocumentTrainer
from nlp_training.windows import RowLengths, row_lengths

Splits = dict[str, list[Document]]
DataReport = dict[str, SplitMeasures]


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where the artefact is, and its scores by data set."""

    model: Path
    metrics: dict[str, dict[str, Any]]


def train(config: RunConfig, *, console: Console | None = None) -> RunResult:
    """Train, evaluate and save what `config` describes.

    The artefact, in `{output_dir}/{name}/model`, holds the weights, the processor, the resolved configuration, the
    scores, a report of the data and a model card; it replaces an earlier one only when it is complete. The report of
    the training data is made before training, while their lengths are counted; that of the others afterwards, so that
    several processes begin together.

    Args:
        config: the run.
        console: where to show progress and tables.

    Raises:
        InvalidSpecError: the configuration does not fit together.
        InvalidDataError: the documents cannot be learnt from.
    """
    console = console or Console()
    set_seed(config.seed)
    use_cpu_threads(config.cpu_threads)
    splits = load_splits(config)
    processor = build_processor(config, splits["train"])
    task = processor.task
    check_documents(splits, flat=task.flat, needs=task.needs, labels=getattr(task, "labels", None))
    if config.calibrate:
        check_calibration(task, has_validation="validation" in splits)
    best = document_metric(task.needs).best
    config = resolve_config(config, task=task, best_metric=best)
    progress = RichProgress(console, best=best)
    trainer = build_trainer(config, processor, splits, callbacks=[progress])
    if trainer.args.device.type == "cpu":
        keep_freed_memory()
    is_main = trainer.is_world_process_zero()
    golden = golden_documents(config, processor, splits.get("validation", ())) if is_main else {}
    report: DataReport = {}
    if is_main:
        report["train"] = measure_training_set(trainer, splits["train"])
        console.print(setup_table(trainer, splits), *lost_gold_lines(report))
    try:
        trainer.train(resume_from_checkpoint=prepare_checkpoints(trainer))
    finally:
        progress.stop()
    if config.calibrate:
        calibrate(trainer, splits["validation"], seed=config.seed)
    metrics = {name: trainer.score_documents(documents) for name, documents in splits.items() if name != "train"}
    model = config.folder / "model"
    if is_main:
        others = {name: measure_split(processor, documents) for name, documents in splits.items() if name != "train"}
        save_artefact(config, trainer, metrics, report | others, golden, model)
        tables = (per_label_table(metrics), detail_table(metrics), coverage_table(metrics), score_table(metrics))
        console.print(*lost_gold_lines(others), *tables, f"[bold]model[/bold] {model}")
    trainer.accelerator.wait_for_everyone()
    return RunResult(model, metrics)


def load_splits(config: RunConfig) -> Splits:
    """The documents of every split: `train`, `validation` if there is one, and the test sets by their names."""
    return {
        name: load_documents(source, default_split=split) for name, (source, split) in config.data.sources().items()
    }


def build_processor(config: RunConfig, train: list[Document]) -> Processor:
    """The processor that the configuration describes, with the labels of the training documents if it names none."""
    tokenizer = AutoTokenizer.from_pretrained(locate_base(config.model.base), revision=config.model.revision)
    settings = config.processor
    import_modules(settings.modules)
    return Processor(
        tokenizer, with_labels(settings.task, train), settings.preprocess, settings.postprocess, settings.windows
    )


def import_modules(modules: Sequence[str]) -> None:
    """Import the modules that define transforms and tasks of the user.

    Raises:
        InvalidSpecError: one cannot be imported.
    """
    for name in modules:
        try:
            import_module(name)
        except Exception as error:
            raise InvalidSpecError(
                f"processor.modules names {name!r}, which cannot be imported: {type(error).__name__}: {error}; "
                "install the package that it belongs to, or take it out"
            ) from error


def build_model(config: RunConfig, task: Task) -> PreTrainedModel:
    """The base model with a fresh head for `task`.

    Raises:
        InvalidSpecError: `model.settings` has a key that the run decides, or that the model's configuration has not.
    """
    decided = {"dtype": "float32", "revision": config.model.revision, **task.model_settings()}
    taken = sorted(set(config.model.settings) & {*decided, "torch_dtype", "config", "pretrained_model_name_or_path"})
    if taken:
        raise InvalidSpecError(f"model.settings has {taken[0]!r}, which the run decides itself; leave it out")
    try:
        model: PreTrainedModel = model_class(task).from_pretrained(
            locate_base(config.model.base), **config.model.settings, **decided
        )
    except TypeError as error:
        raise InvalidSpecError(f"model.settings {config.model.settings!r} do not fit the model: {error}") from error
    return model


def build_trainer(
    config: RunConfig, processor: Processor, splits: Splits, *, callbacks: Sequence[TrainerCallback] = ()
) -> DocumentTrainer:
    """The trainer of a resolved run, without the Trainer's own log lines."""
    trainer = DocumentTrainer(
        build_model(config, processor.task),
        training_arguments(config, best_metric=document_metric(processor.task.needs).best),
        processing_class=processor,
        train_dataset=splits["train"],
        eval_dataset=splits.get("validation"),
        callbacks=callbacks,
        training_attention=config.model.training_attention,
        loss=config.loss,
        sample_weight=config.data.sample_weight,
        balance=config.sampling.power if config.sampling.balance == "label" else None,
        augmenter=Augmenter(config.augment, splits["train"], seed=config.seed) if config.augment else None,
    )
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    return trainer


def measure_training_set(trainer: DocumentTrainer, documents: list[Document]) -> SplitMeasures:
    """What the training documents hold; the trainer takes their row lengths, so that they are encoded once."""
    lengths: list[RowLengths] = []

    def watch(encoded: Encoded) -> None:
        lengths.extend(row_lengths(one) for _, one in encoded)

    measures = measure_split(trainer.processor, documents, watch=watch)
    trainer.take_row_lengths(documents, lengths)
    return measures


def prepare_checkpoints(trainer: DocumentTrainer) -> str | None:
    """The checkpoint to go on from; if there is none to be, those of an earlier run are removed.

    Raises:
        InvalidSpecError: there is no such checkpoint.
    """
    wanted: Any = trainer.args.resume_from_checkpoint
    folder = Path(trainer.args.output_dir or ".")
    if wanted in {None, False, "false"}:
        if trainer.args.should_save:
            for old in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
                shutil.rmtree(old)
        trainer.accelerator.wait_for_everyone()
        return None
    latest = wanted in {True, "true"}
    checkpoint = get_last_checkpoint(folder) if latest and folder.is_dir() else None if latest else str(wanted)
    if checkpoint is None or not Path(checkpoint).is_dir():
        place = f"no checkpoint in {str(folder)!r}" if latest else f"no folder {checkpoint!r}"
        raise InvalidSpecError(f"training.resume_from_checkpoint is {wanted!r}, but there is {place}; leave it out")
    return str(checkpoint)


def save_artefact(
    config: RunConfig,
    trainer: DocumentTrainer,
    metrics: dict[str, dict[str, Any]],
    report: DataReport,
    golden: Mapping[Origin, Sequence[Document]],
    target: Path,
) -> None:
    """Write model, processor, golden records, configuration, scores, data report and model card, or nothing."""
    training = {key: value for key, value in config.training.items() if key != "resume_from_checkpoint"}
    with replacing_folder(target) as folder:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        trainer.processor.save_pretrained(folder)
        weights = find_weight_files(folder)
        fingerprint = Fingerprint.of(trainer.processor, weights=weights, runtime="torch", folder=folder)
        trainer.processor.with_fingerprint(fingerprint).save_pretrained(folder)
        record_artefact(folder, golden)
        save_config(config.model_copy(update={"training": training}), folder / "training.yaml")
        documents: Any = trainer.train_dataset
        with trainer.serving() as predictor:
            training_profile(predictor, documents, seed=config.seed).save(folder / PROFILE_FILE)
        _write_json(folder / "metrics.json", metrics)
        _write_json(folder / "training_log.json", trainer.state.log_history)
        _write_json(folder / "data_report.json", {name: split.counts() for name, split in report.items()})
        card = model_card(config, trainer.processor, metrics, report)
        (folder / "README.md").write_text(card, encoding="utf-8")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
