"""Intent and slots of SNIPS: one model with two heads next to two separate models.

    python benchmarks/multi_task.py --data FOLDER  # FOLDER/snips_slots.{train,test}.jsonl, as {text, spans, intent}

The three trainings have the same documents, batch size, learning rate, epochs and seed; each runs in its own process.
Predicting is measured on the test texts, in this process, after one prediction of all of them.
"""

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from fresh_process import ROOT, Result, last_line, read_records
from rich.console import Console
from rich.table import Table

from nlp_inference import Predictor

SINGLE: dict[str, tuple[Any, Any]] = {
    "intent": ("text-classification", {"label": "intent"}),
    "slots": ("token-classification", {"spans": "spans"}),
}
SCORES = {"intent": "accuracy", "slots": "f1"}


def read(path: Path, size: int | None = None) -> list[dict[str, Any]]:
    """Records of a file of JSON lines, evenly spread over it."""
    records = read_records(path)
    step = 1 if size is None else max(1, len(records) // size)
    return records[::step][:size]


def train_one(folder: Path, name: str, *, seed: int, epochs: float, heads: tuple[str, ...]) -> Result:
    """Train a model of some heads, without validation, and time its predictions of the test texts."""
    columns: dict[str, Any] = {"heads": {head: SINGLE[head][1] for head in heads}}
    task: Any = {"multi-task": {"heads": {head: SINGLE[head][0] for head in heads}}}
    if len(heads) == 1:
        columns, task = SINGLE[heads[0]][1], SINGLE[heads[0]][0]
    data = {split: {"path": str(folder / f"{split}.jsonl"), "columns": columns} for split in ("train", "test")}
    settings = {
        "name": name,
        "output_dir": folder / "runs",
        "seed": seed,
        "data.train": json.dumps(data["train"]),
        "data.test": json.dumps({"test": data["test"]}),
        "data.split": "null",
        "processor.task": json.dumps(task),
        "training.num_train_epochs": epochs,
        "training.save_strategy": "no",
    }
    overrides = [f"{key}={value}" for key, value in settings.items()]
    found = last_line(ROOT / "benchmarks/timed_training.py", ROOT / "configs/multi_task.yaml", *overrides)
    texts = [one["text"] for one in read(folder / "test.jsonl")]
    with Predictor.from_pretrained(folder / "runs" / name / "model") as predictor:
        predictor.predict(texts)
        started = perf_counter()
        predictor.predict(texts)
        seconds = perf_counter() - started
    return {**found["metrics"]["test"], "training": found["training_seconds"], "predicting": seconds}


def main(
    data: Annotated[Path, typer.Option(help="Folder with snips_slots.train.jsonl and snips_slots.test.jsonl.")],
    size: Annotated[int | None, typer.Option(help="Training documents; all by default.")] = None,
    epochs: Annotated[float, typer.Option(help="Epochs of each training.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of each training.")] = 42,
) -> None:
    """Train the three models and print the table."""
    table = Table(title=f"SNIPS, {size or 'all'} training documents, {epochs:g} epochs, seed {seed}")
    for column in ("", "intent accuracy", "slots F1", "training s", "predicting s"):
        table.add_column(column, justify="left" if not column else "right")
    runs: dict[str, tuple[str, ...]] = {"intent": ("intent",), "slots": ("slots",), "both": ("intent", "slots")}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for split, count in (("train", size), ("test", None)):
            lines = map(json.dumps, read(data / f"snips_slots.{split}.jsonl", count))
            (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name, heads in runs.items():
            found = train_one(folder, name, seed=seed, epochs=epochs, heads=heads)
            prefix = {head: f"{head}_" if len(heads) > 1 else "" for head in heads}
            scores = [
                f"{found[prefix[head] + SCORES[head]]:.4f}" if head in heads else "" for head in ("intent", "slots")
            ]
            times = [f"{found[key]:.1f}" for key in ("training", "predicting")]
            table.add_row(name, *scores, *times)
            print(f"{name}: {' '.join([*scores, *times])}", file=sys.stderr, flush=True)
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
