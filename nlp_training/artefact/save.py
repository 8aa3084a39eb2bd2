"""Saving the artefact of a run."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_inference import Document, Processor
from nlp_inference.architectures.checkpoint_files import find_weight_files
from nlp_inference.backends.descriptors import REFERENCE, find_backend
from nlp_inference.backends.padding import PaddingWarning
from nlp_inference.drift.profile import PROFILE_FILE
from nlp_inference.golden import record_artefact
from nlp_inference.golden.schema import Origin
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training._utils.replacing import replacing_folder
from nlp_training.artefact.folder import write_fingerprint
from nlp_training.artefact.input_profile import training_profile
from nlp_training.artefact.model_card import model_card
from nlp_training.artefact.requirements import REQUIREMENTS_FILE, inference_requirements
from nlp_training.config import RunConfig, save_config
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.evaluation_model import plain_model

DataReport = dict[str, SplitMeasures]


def save_artefact(
    config: RunConfig,
    trainer: DocumentTrainer,
    metrics: dict[str, dict[str, Any]],
    report: DataReport,
    golden: Mapping[Origin, Sequence[Document]],
    target: Path,
) -> None:
    """Write model, processor, golden records, configuration, scores, data report and model card atomically."""
    training = {key: value for key, value in config.training.items() if key != "resume_from_checkpoint"}
    with replacing_folder(target) as folder:
        save_model(folder, plain_model(trainer.accelerator, trainer.model), trainer.processor, golden)
        save_config(config.model_copy(update={"training": training}), folder / "training.yaml")
        documents: Any = trainer.train_dataset
        with trainer.serving() as predictor:
            training_profile(predictor, documents, seed=config.seed).save(folder / PROFILE_FILE)
        write_scores(folder, metrics, report)
        write_json(folder / "training_log.json", trainer.state.log_history)
        card = model_card(config, trainer.processor, metrics, report)
        (folder / "README.md").write_text(card, encoding="utf-8")


def save_model(folder: Path, model: Any, processor: Processor, golden: Mapping[Origin, Sequence[Document]]) -> None:
    """Write what production loads into an empty folder: weights, processor, fingerprint, requirements, golden records.

    Args:
        folder: the folder.
        model: a model of transformers, without wrappers.
        processor: its processor.
        golden: the documents to record, by origin.
    """
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    weights = find_weight_files(folder)
    runtime = find_backend(REFERENCE).runtime
    fingerprint = Fingerprint.of(processor, weights=weights, runtime=runtime, folder=folder, model=type(model))
    write_fingerprint(folder, fingerprint)
    (folder / REQUIREMENTS_FILE).write_text(inference_requirements(fingerprint), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PaddingWarning)  # the verification reports it
        record_artefact(folder, golden)


def write_scores(folder: Path, metrics: Mapping[str, Any], report: DataReport) -> None:
    """Write the scores and the measures of the data."""
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "data_report.json", {name: split.counts() for name, split in report.items()})


def write_json(path: Path, content: Any) -> None:
    """Write a value as indented JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
