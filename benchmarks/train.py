"""Compare score and training time of this library's configurations with plain Trainer scripts, in one run.

    python benchmarks/train.py wnut17 --data FOLDER     # FOLDER/wnut17.{train,dev,test}.jsonl
    python benchmarks/train.py banking77 --data FOLDER  # FOLDER/banking77.{train,test}.jsonl
    python benchmarks/train.py goemotions --data FOLDER --epochs 2  # FOLDER/goemotions.{train,dev,test}.jsonl
    python benchmarks/train.py mixed                    # generated documents of mixed lengths, written for the run

The baselines follow the documentation of transformers: the same base weights, words labeled at their first token,
batches of 16, learning rate 2e-4 and 3 epochs; seqeval's micro F1, accuracy, or macro F1 of label sets at a threshold
of 0.5. One has Trainer's defaults (random batches, fp32), the other groups by length and computes in bf16. Each runs in
its own process, with all cores.
Seconds are those of `Trainer.train()`; for this library without evaluations, checkpoints and logging, which the
baselines do not have. Padding is the share of padding tokens. "Outside" is the share of the seconds outside forward,
backward and optimizer, which includes gradient clipping. The result of each training is printed to stderr when it ends.
"""

import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from statistics import mean, median, stdev
from typing import Annotated, NamedTuple

import typer
from fresh_process import ROOT, Result, last_line
from mixed_lengths import write_mixed
from rich.console import Console
from rich.table import Table

PLAIN, TUNED, OURS = "plain Trainer, its defaults", "plain Trainer, length-grouped, bf16", "nlp_training"
SCORES = {"f1": "span F1", "accuracy": "accuracy", "macro_f1": "macro F1"}


class Benchmark(NamedTuple):
    """Data set and the configuration that is trained on it.

    Attributes:
        config: this library's configuration, used with `overrides`.
        splits: keys of `data` by split in the file names.
        score: the metric to compare.
    """

    config: str
    splits: dict[str, str]
    score: str
    overrides: tuple[str, ...] = ()


BENCHMARKS = {
    "wnut17": Benchmark("wnut17", {"train": "train", "dev": "validation", "test": "test"}, "f1"),
    "banking77": Benchmark("banking77", {"train": "train", "test": "test"}, "accuracy"),
    "goemotions": Benchmark("multi_label", {"train": "train", "dev": "validation", "test": "test"}, "macro_f1"),
    "mixed": Benchmark(
        "quickstart",
        {"train": "train", "test": "test"},
        "f1",
        (
            "data.validation=null",
            "processor.task.token-classification.words=whitespace",  # the texts are tokens joined by spaces
            "processor.windows.max_length=512",  # as in the baselines
            "golden.records=0",
            "training.num_train_epochs=3",
            "training.learning_rate=2.0e-4",
            "training.save_strategy=no",
        ),
    ),
}


def run_ours(name: str, data: Path, seed: int, epochs: float, overrides: list[str]) -> Result:
    """Train this library's configuration in its own process."""
    benchmark = BENCHMARKS[name]
    sources = [f"data.{key}={data / name}.{split}.jsonl" for split, key in benchmark.splits.items()]
    with tempfile.TemporaryDirectory() as folder:
        own = [f"output_dir={folder}", f"seed={seed}", *benchmark.overrides, f"training.num_train_epochs={epochs:g}"]
        settings = [*own, *sources, *overrides]
        measured = last_line(
            ROOT / "benchmarks/timed_training.py", ROOT / f"configs/{benchmark.config}.yaml", *settings, quiet=True
        )
    scores = {split: measured["metrics"].get(key, {}).get(benchmark.score) for split, key in benchmark.splits.items()}
    return {**measured, "dev": scores.get("dev"), "test": scores["test"]}


def run_peer(name: str, data: Path, seed: int, epochs: float, batches: str) -> Result:
    """Train a plain script in its own process."""
    result = last_line(ROOT / "benchmarks/peer_trainer.py", name, data, seed, batches, epochs, quiet=True)
    for split in ("dev", "test"):
        if isinstance(result.get(split), list):  # micro and macro F1
            result[split] = result[split][1]
    return {**result, "training_seconds": result["seconds"]}


def train_in_turn(
    name: str, data: Path, seeds: int, defaults_seeds: int, overrides: list[str], epochs: float = 3
) -> dict[str, list[Result]]:
    """Train the baselines and this library seed by seed, and print each result to stderr."""
    results: dict[str, list[Result]] = {PLAIN: [], TUNED: [], OURS: []}
    for seed in range(42, 42 + seeds):
        for who, runs in results.items():
            if who == PLAIN and len(runs) == defaults_seeds:
                continue
            if who == OURS:
                runs.append(run_ours(name, data, seed, epochs, overrides))
            else:
                runs.append(run_peer(name, data, seed, epochs, "defaults" if who == PLAIN else "tuned"))
            scores = ", ".join(
                f"{split} {100 * runs[-1][split]:.2f}" for split in ("dev", "test") if runs[-1].get(split) is not None
            )
            print(f"seed {seed}, {who}: {runs[-1]['training_seconds']:.1f} s, {scores}", file=sys.stderr, flush=True)
    return results


def main(
    name: Annotated[str, typer.Argument(help="wnut17, banking77, goemotions or mixed.")],
    data: Annotated[Path | None, typer.Option(help="Folder with NAME.train.jsonl and so on; not for mixed.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds, starting at 42.")] = 1,
    defaults_seeds: Annotated[
        int | None, typer.Option(min=1, help="Number of seeds for the slowest baseline; default: all.")
    ] = None,
    epochs: Annotated[float, typer.Option(min=0, help="Number of epochs of all trainings.")] = 3,
    override: Annotated[list[str] | None, typer.Option(help="key=value for this library's configuration.")] = None,
) -> None:
    """Run all trainings and print the table."""
    if name not in BENCHMARKS:
        raise typer.BadParameter(f"unknown benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}")
    if (data is None) != (name == "mixed"):
        raise typer.BadParameter(
            "--data is required, except for mixed, which generates its documents; pass or remove it"
        )
    with tempfile.TemporaryDirectory() if data is None else nullcontext(data) as folder:
        if data is None:
            write_mixed(Path(folder))
        results = train_in_turn(name, Path(folder), seeds, defaults_seeds or seeds, override or [], epochs)
    Console(width=110).print(as_table(name, results, seeds))


def as_table(name: str, results: dict[str, list[Result]], seeds: int) -> Table:
    """Return a table of scores, speed relative to the first baseline, padding and time outside."""
    table = Table(title=f"{name}: {SCORES[BENCHMARKS[name].score]}, {seeds} seed(s)")
    for column in ("", "dev", "test", "documents per second", "padding", "outside"):
        table.add_column(column, justify="left" if not column else "right")
    for who, runs in results.items():
        speeds = [  # only the seeds for which all were trained
            peer["training_seconds"] / one["training_seconds"] for peer, one in zip(results[PLAIN], runs, strict=False)
        ]
        table.add_row(
            who,
            *(_spread([one.get(split) for one in runs]) for split in ("dev", "test")),
            f"{median(speeds):.2f} x",
            *(f"{mean(one[part] for one in runs):.1%}" if part in runs[0] else "" for part in ("padding", "outside")),
        )
    return table


def _spread(scores: list[float | None]) -> str:
    """Format mean and standard deviation over the seeds."""
    known = [100 * score for score in scores if score is not None]
    if not known:
        return "–"
    return f"{mean(known):.1f} ± {stdev(known):.1f}" if len(known) > 1 else f"{known[0]:.1f}"


if __name__ == "__main__":
    typer.run(main)
