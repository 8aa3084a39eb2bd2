"""Trainings compared with plain Trainer scripts; for benchmarks/gpu.py."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from fresh_process import ROOT, Result, last_line
from gpu_machine import read_peaks, save_base
from gpu_settings import Clock, Row, Settings, Shape, failure, no_time
from gpu_verify import TRAINED
from mixed_lengths import write_mixed
from train import BENCHMARKS, PLAIN, TUNED, run_peer

OURS, COMPILED, LARGE = "nlp_training", "nlp_training, torch.compile", "nlp_training, BERT-base's size"
SEED = 42
_NAME = "mixed"


def train_rows(settings: Settings, folder: Path, clock: Clock) -> Iterator[Row]:
    """Yield score, seconds and memory of each training; the first one of this library is kept for other sections."""
    warnings.filterwarnings("ignore")
    data = folder / "data"
    data.mkdir()
    write_mixed(data, settings.train_sizes)
    epochs = settings.epochs
    ours = [f"output_dir={folder / TRAINED}", "golden.records=32"]
    trainings: dict[str, Callable[[], Result]] = {
        OURS: lambda: run_ours(data, settings, ours),
        TUNED: lambda: run_peer(_NAME, data, SEED, epochs, "tuned"),
        PLAIN: lambda: run_peer(_NAME, data, SEED, epochs, "defaults"),
    }
    if settings.compile:
        options = [f"output_dir={folder / 'compiled'}", "training.torch_compile=true"]
        trainings[COMPILED] = lambda: run_ours(data, settings, options)
    trainings[LARGE] = lambda: run_large(data, settings, folder)
    results: dict[str, Result] = {}
    for name, run in trainings.items():
        if not clock.has(25):
            yield no_time(name)
            continue
        try:
            results[name] = run()
        except Exception as error:  # noqa: BLE001 - such as a compiler that is not available
            yield failure(name, error)
            continue
        yield _row(name, results[name], settings, folder)


def run_ours(data: Path, settings: Settings, overrides: list[str]) -> Result:
    """Train this library's configuration in its own process."""
    benchmark = BENCHMARKS[_NAME]
    sources = [f"data.{key}={data / _NAME}.{split}.jsonl" for split, key in benchmark.splits.items()]
    own = [f"seed={SEED}", *benchmark.overrides, f"training.num_train_epochs={settings.epochs:g}"]
    if not settings.on_gpu:
        own.append("training.use_cpu=true")
    script, config = ROOT / "benchmarks/timed_training.py", ROOT / f"configs/{benchmark.config}.yaml"
    found = last_line(script, config, *own, *sources, *overrides, quiet=True)
    return {**found, "test": found["metrics"]["test"][benchmark.score]}


def run_large(data: Path, settings: Settings, folder: Path) -> Result:
    """Train a model of a given size from random weights, in batches that occupy the card."""
    base = save_base(folder / "base", settings.shape)
    options = [f"output_dir={folder / 'large'}", f"model.base={base}", "training.learning_rate=3.0e-5"]
    rows = 8 if settings.reduced else 64
    return run_ours(data, settings, [*options, f"training.per_device_train_batch_size={rows}"])


def _row(name: str, result: Result, settings: Settings, folder: Path) -> Row:
    seconds = result["training_seconds"]
    documents = settings.train_sizes["train"] * settings.epochs
    row: Row = {"": name, "test F1": f"{100 * result['test']:.1f}", "documents / s": f"{documents / seconds:.0f}"}
    parts = ("padding",) if settings.on_gpu else ("padding", "outside")  # a GPU works after the calls have returned
    row |= {key: f"{result[key]:.1%}" for key in parts if key in result}
    if result.get("memory"):
        row["GPU memory"] = f"{result['memory'] / 2**30:.2f} GiB"
    peak = read_peaks(folder).get("bfloat16")
    if name == LARGE and peak:
        row["of the peak"] = f"{_operations(settings.shape, result['tokens']) / seconds / peak:.1%}"
        row["test F1"] = "from random weights"
    return row


def _operations(shape: Shape, tokens: int) -> float:
    """Return the operations of forward and backward passes on tokens, without attention scores: 6 per weight."""
    return 6.0 * tokens * shape.layers * (4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate)
