"""Score and training time of our configurations beside plain Trainer scripts, one after the other in one run.

    python benchmarks/train.py wnut17 --data FOLDER     # FOLDER/wnut17.{train,dev,test}.jsonl
    python benchmarks/train.py banking77 --data FOLDER  # FOLDER/banking77.{train,test}.jsonl

The peers are what the documentation of transformers shows: the same base weights, words labelled at their first token,
batches of 16, learning rate 2e-4 and 3 epochs; seqeval's micro F1, or accuracy. One has Trainer's defaults (random
batches, fp32), the other groups by length and computes in bf16. Each runs in a process of its own, with all cores.
Seconds are those of `Trainer.train()`; ours without its evaluations, which the peers do not have. Padding is the share
of tokens that are none; "outside" is the share of the seconds outside forward, backward and optimiser, clipping of
gradients being the optimiser's.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median, stdev
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
SPLITS = {"wnut17": ("train", "dev", "test"), "banking77": ("train", "test")}
PLAIN, TUNED, OURS = "plain Trainer, its defaults", "plain Trainer, length-grouped, bf16", "nlp_training"
Result = dict[str, Any]


def run_ours(name: str, data: Path, seed: int, overrides: list[str]) -> Result:
    """Train our configuration in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [f"data.train={data / name}.train.jsonl", f"data.test={data / name}.test.jsonl"]
        if "dev" in SPLITS[name]:
            sources.append(f"data.validation={data / name}.dev.jsonl")
        settings = [f"output_dir={folder}", f"seed={seed}", *sources, *overrides]
        measured = _last_line([ROOT / "benchmarks/timed_training.py", ROOT / f"configs/{name}.yaml", *settings])
    score = "f1" if name == "wnut17" else "accuracy"
    scores = {split: measured["metrics"].get(split, {}).get(score) for split in ("validation", "test")}
    return {**measured, "dev": scores["validation"], "test": scores["test"]}


def run_peer(name: str, data: Path, seed: int, batches: str) -> Result:
    """Train a plain script in a process of its own."""
    result = _last_line([ROOT / "benchmarks/peer_trainer.py", name, data, seed, batches])
    return {**result, "training_seconds": result["seconds"]}


def _last_line(command: list[Any]) -> Result:
    result = subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True, text=True)
    printed: Result = json.loads(result.stdout.splitlines()[-1])
    return printed


def main(
    name: Annotated[str, typer.Argument(help="wnut17 or banking77.")],
    data: Annotated[Path, typer.Option(help="Folder with NAME.train.jsonl and its like.")],
    seeds: Annotated[int, typer.Option(help="How many seeds, from 42 on; peers and ours in turn.")] = 1,
    override: Annotated[list[str] | None, typer.Option(help="key=value for our configuration.")] = None,
) -> None:
    """Run all and print the table."""
    if name not in SPLITS:
        raise typer.BadParameter(f"no benchmark {name!r}; there are {', '.join(SPLITS)}")
    results: dict[str, list[Result]] = {PLAIN: [], TUNED: [], OURS: []}
    for seed in range(42, 42 + seeds):
        results[PLAIN].append(run_peer(name, data, seed, "defaults"))
        results[TUNED].append(run_peer(name, data, seed, "tuned"))
        results[OURS].append(run_ours(name, data, seed, override or []))
        print(seed, *(f"{who}: {one[-1]['training_seconds']:.1f} s" for who, one in results.items()), file=sys.stderr)
    table = Table(title=f"{name}: {'span F1' if name == 'wnut17' else 'accuracy'}, {seeds} seed(s)")
    for column in ("", "dev", "test", "documents per second", "padding", "outside"):
        table.add_column(column, justify="left" if not column else "right")
    for who, runs in results.items():
        speeds = [
            peer["training_seconds"] / one["training_seconds"] for peer, one in zip(results[PLAIN], runs, strict=True)
        ]
        table.add_row(
            who,
            *(_spread([one.get(split) for one in runs]) for split in ("dev", "test")),
            f"{median(speeds):.2f} x",
            *(f"{mean(one[part] for one in runs):.1%}" if part in runs[0] else "" for part in ("padding", "outside")),
        )
    Console(width=110).print(table)


def _spread(scores: list[float | None]) -> str:
    """Mean, and standard deviation over the seeds."""
    known = [100 * score for score in scores if score is not None]
    if not known:
        return "–"
    return f"{mean(known):.1f} ± {stdev(known):.1f}" if len(known) > 1 else f"{known[0]:.1f}"


if __name__ == "__main__":
    typer.run(main)
