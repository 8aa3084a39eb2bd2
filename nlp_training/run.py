"""A run, from its configuration to the artefact that production loads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from rich.console import Console
from transformers import AutoTokenizer, PreTrainedModel, PrinterCallback, ProgressCallback, set_seed

from nlp_inference import Document, Processor, Task
from nlp_training.arguments import training_arguments
from nlp_training.artefact import replacing_folder
from nlp_training.base_model import locate_base
from nlp_training.config import RunConfig, save_config
from nlp_training.cpu import use_cpu_threads
from nlp_training.data import check_documents, load_documents
from nlp_training.labels import with_labels
from nlp_training.metrics import document_metric
from nlp_training.progress import RichProgress
from nlp_training.reports.model_card import model_card
from nlp_training.reports.tables import per_label_table, score_table, setup_table
from nlp_training.trainer import DocumentTrainer

Splits = dict[str, list[Document]]


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where the artefact is, and its scores by data set."""

    model: Path
    metrics: dict[str, dict[str, Any]]


def train(config: RunConfig, *, console: Console | None = None) -> RunResult:
    """Train, evaluate and save what `config` describes.

    The artefact, in `{output_dir}/{name}/model`, holds the weights, the processor, the resolved configuration, the
    scores and a model card; it replaces an earlier one only when it is complete.

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
    check_documents(splits, flat=processor.task.flat, needs=processor.task.needs)
    trainer = build_trainer(config, processor, splits, console=console)
    is_main = trainer.is_world_process_zero()
    if is_main:
        console.print(setup_table(trainer, splits))
    trainer.train()
    held_out = {name: documents for name, documents in splits.items() if name != "train"}
    metrics = {name: trainer.score_documents(documents) for name, documents in held_out.items()}
    model = config.folder / "model"
    if is_main:
        save_artefact(config, trainer, metrics, model)
        console.print(score_table(metrics), per_label_table(metrics), f"[bold]model[/bold] {model}")
    trainer.accelerator.wait_for_everyone()
    return RunResult(model, metrics)


def load_splits(config: RunConfig) -> Splits:
    """The documents of every split: `train`, `validation` if there is one, and the test sets by their names."""
    sources = {"train": config.data.train, "validation": config.data.validation, **config.data.test}
    return {name: load_documents(source, default_split=name) for name, source in sources.items() if source is not None}


def build_processor(config: RunConfig, train: list[Document]) -> Processor:
    """The processor that the configuration describes, with the labels of the training documents if it names none."""
    tokenizer = AutoTokenizer.from_pretrained(locate_base(config.model.base), revision=config.model.revision)
    settings = config.processor
    return Processor(
        tokenizer, with_labels(settings.task, train), settings.preprocess, settings.postprocess, settings.windows
    )


def build_model(config: RunConfig, task: Task) -> PreTrainedModel:
    """The base model with a fresh head for `task`."""
    auto_model = getattr(transformers, task.auto_model)
    settings = {**config.model.settings, **task.model_settings()}
    model: PreTrainedModel = auto_model.from_pretrained(
        locate_base(config.model.base), revision=config.model.revision, dtype="float32", **settings
    )
    return model


def build_trainer(config: RunConfig, processor: Processor, splits: Splits, *, console: Console) -> DocumentTrainer:
    """The trainer of a run, with a progress bar in place of the Trainer's log lines."""
    best = document_metric(processor.task.needs).best
    args = training_arguments(config, best_metric=best)
    on_cpu = args.device.type == "cpu"
    trainer = DocumentTrainer(
        build_model(config, processor.task),
        args,
        processor=processor,
        train_dataset=splits["train"],
        eval_dataset=splits.get("validation"),
        callbacks=[RichProgress(console, best=best)],
        training_attention=config.model.training_attention or ("eager" if on_cpu else None),
    )
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    return trainer


def save_artefact(
    config: RunConfig, trainer: DocumentTrainer, metrics: dict[str, dict[str, Any]], target: Path
) -> None:
    """Write model, processor, configuration, scores and model card together, or nothing."""
    with replacing_folder(target) as folder:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        trainer.processor.save_pretrained(folder)
        save_config(config, folder / "training.yaml")
        _write_json(folder / "metrics.json", metrics)
        _write_json(folder / "training_log.json", trainer.state.log_history)
        (folder / "README.md").write_text(model_card(config, trainer.processor, metrics), encoding="utf-8")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
