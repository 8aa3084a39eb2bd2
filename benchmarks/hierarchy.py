"""`hierarchical-classification` next to flat `text-classification` of the same paths: domain/intent of CLINC150.

    python benchmarks/hierarchy.py --data FOLDER --domains domains.json  # FOLDER/clinc150.{train,test}.jsonl

`domains.json` has the list of intents of each domain, and is in the repository of the data set. The label `oos` is a
path of one level. Both tasks have the same base weights, documents, batches, learning rate, epochs and seed; each
trains in its own process. The plain Trainer script is flat as well, grouped by length, in bf16, with its learning rate
of 2e-4.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from fresh_process import ROOT, Result, last_line, read_records
from rich.console import Console
from rich.table import Table

from nlp_inference import Predictor
from nlp_training.metrics import PathF1

TASKS = ("text-classification", "hierarchical-classification")
SCORES = ("accuracy", "level_1_accuracy", "hierarchical_f1")
PLAIN = "plain Trainer"


def with_paths(source: Path, domains: dict[str, list[str]]) -> list[Result]:
    """Read a file of intents as records whose labels are paths."""
    parents = {intent: domain for domain, intents in domains.items() for intent in intents}
    return [
        {**one, "label": f"{parents[one['label']]}/{one['label']}" if one["label"] in parents else one["label"]}
        for one in read_records(source)
    ]


def train_ours(task: str, data: Path, seed: int, epochs: float) -> Result:
    """Train a task of this library, and score its predictions of the test texts as paths."""
    settings = {
        "name": task,
        "output_dir": data / "runs",
        "seed": seed,
        "processor.task": task,
        "data.train": data / "clinc150.train.jsonl",
        "data.test": data / "clinc150.test.jsonl",
        "training.num_train_epochs": epochs,
    }
    overrides = [f"{key}={value}" for key, value in settings.items()]
    last_line(ROOT / "benchmarks/timed_training.py", ROOT / "configs/hierarchical_intents.yaml", *overrides)
    records = read_records(data / "clinc150.test.jsonl")
    with Predictor.from_pretrained(data / "runs" / task / "model") as predictor:
        documents = predictor.predict([one["text"] for one in records])
    found = [document.predicted.categories[0].label for document in documents]
    scores: Result = PathF1().compute(predictions=found, references=[one["label"] for one in records], resamples=0)
    return scores


def main(
    data: Annotated[Path, typer.Option(help="Folder with clinc150.train.jsonl and clinc150.test.jsonl.")],
    domains: Annotated[Path, typer.Option(help="JSON object with the list of intents of each domain.")],
    seeds: Annotated[int, typer.Option(help="Number of seeds, starting at 42.")] = 1,
    epochs: Annotated[float, typer.Option(help="Number of epochs of all trainings.")] = 3,
) -> None:
    """Train all and print the table."""
    table = Table(title=f"CLINC150 as paths, {epochs:g} epochs")
    for column in ("seed", "", *SCORES):
        table.add_column(column, justify="right" if column in SCORES else "left")
    known = json.loads(domains.read_text(encoding="utf-8"))
    for seed in range(42, 42 + seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for split in ("train", "test"):
                records = with_paths(data / f"clinc150.{split}.jsonl", known)
                (folder / f"clinc150.{split}.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
            results = {task: train_ours(task, folder, seed, epochs) for task in TASKS}
            plain = last_line(
                ROOT / "benchmarks/peer_trainer.py", "clinc150", folder, seed, "tuned", epochs, quiet=True
            )
            results[PLAIN] = {"accuracy": plain["test"]}
        for who, scores in results.items():
            cells = [f"{100 * scores[score]:.2f}" if score in scores else "" for score in SCORES]
            table.add_row(str(seed), who, *cells)
            print(f"seed {seed}, {who}: {' '.join(cells)}", file=sys.stderr, flush=True)
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
