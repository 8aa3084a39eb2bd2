"""Score and training time of our configurations beside a plain Trainer script, one after the other in one run.

    python benchmarks/train.py wnut17 --data FOLDER     # FOLDER/wnut17.{train,dev,test}.jsonl
    python benchmarks/train.py banking77 --data FOLDER  # FOLDER/banking77.{train,test}.jsonl

The peer is what its documentation shows: the same base weights, words labelled at their first token, `Trainer` with
length-grouped batches of 16, bf16, learning rate 2e-4 and 3 epochs; seqeval's micro F1, or accuracy. Each runs in a
process of its own, with all cores. Seconds are those of `Trainer.train()`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
SPLITS = {"wnut17": ("train", "dev", "test"), "banking77": ("train", "test")}


def run_ours(name: str, data: Path, seed: int, overrides: list[str]) -> dict[str, Any]:
    """Train our configuration; scores and seconds are read from what the run leaves."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [f"data.train={data / name}.train.jsonl", f"data.test={data / name}.test.jsonl"]
        if "dev" in SPLITS[name]:
            sources.append(f"data.validation={data / name}.dev.jsonl")
        settings = [f"output_dir={folder}", f"seed={seed}", *sources, *overrides]
        subprocess.run(
            [sys.executable, ROOT / "scripts/train.py", ROOT / f"configs/{name}.yaml", *settings], check=True
        )
        metrics = json.loads((Path(folder) / name / "model" / "metrics.json").read_text())
        log = json.loads((Path(folder) / name / "model" / "training_log.json").read_text())
    score = "f1" if name == "wnut17" else "accuracy"
    scores = {"dev": metrics.get("validation", {}).get(score), "test": metrics["test"][score]}
    return {**scores, "seconds": next(entry["train_runtime"] for entry in log if "train_runtime" in entry)}


def run_peer(name: str, data: Path, seed: int) -> dict[str, Any]:
    """Train the plain script in a process of its own."""
    command = [sys.executable, str(ROOT / "benchmarks/peer_trainer.py"), name, str(data), str(seed)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    scores: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return scores


def main(
    name: Annotated[str, typer.Argument(help="wnut17 or banking77.")],
    data: Annotated[Path, typer.Option(help="Folder with NAME.train.jsonl and its like.")],
    seeds: Annotated[int, typer.Option(help="How many seeds, from 42 on; peer and ours in turn.")] = 1,
    override: Annotated[list[str] | None, typer.Option(help="key=value for our configuration.")] = None,
) -> None:
    """Run both and print the table."""
    if name not in SPLITS:
        raise typer.BadParameter(f"no benchmark {name!r}; there are {', '.join(SPLITS)}")
    table = Table(title=f"{name}: {'span F1' if name == 'wnut17' else 'accuracy'}")
    for column in ("", "seed", "dev", "test", "training s", "time of the peer's"):
        table.add_column(column, justify="left" if not column else "right")
    for seed in range(42, 42 + seeds):
        peer = run_peer(name, data, seed)
        ours = run_ours(name, data, seed, override or [])
        for who, result in (("plain Trainer script", peer), ("nlp_training", ours)):
            scores = [
                f"{100 * result[split]:.1f}" if result.get(split) is not None else "–" for split in ("dev", "test")
            ]
            table.add_row(
                who, str(seed), *scores, f"{result['seconds']:.0f}", f"{result['seconds'] / peer['seconds']:.0%}"
            )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
