"""Folders as runs leave them, made of Documents with gold and predicted, without a model."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from nlp_inference import Annotation, Category, Document, Span
from nlp_inference.document import Coverage
from nlp_inference.predict.trace import Trace
from nlp_training.config import RunConfig, save_config
from nlp_training.evaluation import compare, score
from nlp_training.evaluation.prediction_files import PREDICTIONS, PredictionFile

SECONDS = 0.25
LOG = [
    {"loss": 0.5, "learning_rate": 1e-4, "grad_norm": 2.0, "epoch": 1.0, "step": 10},
    {"eval_f1": 0.25, "eval_precision": 0.5, "eval_recall": 0.125, "epoch": 1.0, "step": 10},
    {"loss": 0.25, "learning_rate": 1e-5, "grad_norm": 1.0, "epoch": 2.0, "step": 20},
    {"eval_f1": 0.75, "eval_precision": 0.75, "eval_recall": 0.75, "epoch": 2.0, "step": 20},
    {"train_runtime": 125.0, "epoch": 2.0, "step": 20},
]


def spans(*rows: tuple[int, int, str] | tuple[int, int, str, float]) -> Annotation:
    return Annotation(spans=tuple(Span(start=row[0], end=row[1], label=row[2], score=(*row, None)[3]) for row in rows))


def category(label: str, confidence: float | None = None) -> Annotation:
    return Annotation(categories=(Category(label=label, score=confidence),))


def predicted(text: str, gold: Annotation, found: Annotation, name: str | None = None) -> Document:
    coverage = Coverage(characters=len(text), read=len(text), windows=1)
    return Document(raw_text=text, id=name, gold=gold, predicted=found, coverage=coverage)


class Predicted:
    """In place of a Predictor: hands out what is predicted already, each in `SECONDS`."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents
        self.observers: list[Any] = []

    def pairs(self) -> Iterator[tuple[Document, Annotation]]:
        for start in range(0, len(self.documents), 2):  # two are looked ahead
            chunk = self.documents[start : start + 2]
            for observe in self.observers:
                observe([Trace(str(document.id), document, seconds=SECONDS) for document in chunk])
            for document in chunk:
                yield document.model_copy(update={"gold": None}), document.gold or Annotation()


def keep(file: PredictionFile, documents: Sequence[Document]) -> None:
    """Write the share of one process."""
    predictor: Any = Predicted(documents)
    with closing(file.keep(predictor.pairs(), predictor)) as pairs:
        for _ in pairs:
            pass


def make_run(
    folder: Path,
    splits: Mapping[str, Sequence[Document]],
    *,
    needs: str = "spans",
    log: Sequence[Mapping[str, Any]] = LOG,
    task: Any = None,
) -> Path:
    """A run's folder with these predictions, and the scores that evaluation gives them."""
    model = folder / "model"
    model.mkdir(parents=True)
    names = {"spans": "token-classification", "category": "text-classification"}
    labels = sorted(set().union(*map(_gold_labels, splits.values())))
    config = RunConfig.model_validate(
        {
            "name": folder.name,
            "model": {"base": "org/base"},
            "data": {"train": "train.jsonl"},
            "processor": {"task": task or {names[needs]: {"labels": labels}}},
            "training": {
                "num_train_epochs": 2, "learning_rate": 1e-4, "bf16": True, "per_device_train_batch_size": 8,
                "train_sampling_strategy": "group_by_length", "metric_for_best_model": "eval_f1",
            },
        }
    )  # fmt: skip
    save_config(config, model / "training.yaml")
    metrics = {}
    for name, documents in splits.items():
        pairs = [(document, document.gold or Annotation()) for document in documents]
        metrics[name] = score(compare(pairs, needs=needs), needs=needs)
        file = PredictionFile(folder / PREDICTIONS, name)
        keep(file, documents)
        file.merge()
    (model / "metrics.json").write_text(json.dumps(metrics))
    (model / "training_log.json").write_text(json.dumps(log))
    return folder


def _gold_labels(documents: Sequence[Document]) -> set[str]:
    golds = [document.gold or Annotation() for document in documents]
    return {one.label for gold in golds for one in (*gold.spans, *gold.categories)}
