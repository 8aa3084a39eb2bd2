"""Compare compressed models with `transformers.pipeline` running the uncompressed ones, on spans and on short texts.

    python benchmarks/compress.py prepare --cache FOLDER --banking77 FOLDER --snips FOLDER
    python benchmarks/compress.py measure --cache FOLDER

`prepare` trains three teachers (the quickstart model; intents of Banking77; slots of SNIPS) and compresses each with
`nlp-training compress`. Everything that is finished in the cache is kept, so it can be stopped and called again; its
speeds do not count. FOLDER of a data set contains `NAME.train.jsonl` and `NAME.test.jsonl`.

`measure` needs an idle machine. In one process and in interleaved rounds, it compares for each teacher the pipeline in
float32 at batch sizes 1, 8 and 32, the Predictor with the teacher in float32 and int8, and with every student. Figures
are medians. Scores are those of `prepare`: students were compared with the teacher in float32 on the same documents.
`costs` shows which threads take the time of a text.
Texts are those of `benchmarks/predict.py` (80 words on average) for the quickstart model, else the test set.
"""

import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from side_by_side import make_texts, rounds_in_turn
from transformers import pipeline

from nlp_inference import Predictor
from nlp_inference._utils.garbage_collection import collecting_only_new_objects
from nlp_inference._utils.quiet import quiet_libraries
from nlp_training import train
from nlp_training.cli._shared import set_fields
from nlp_training.compress import Candidate, CompressOptions, compress
from nlp_training.config import load_config
from nlp_training.data import load_documents

ROOT = Path(__file__).parents[1]
NAMES = ("quickstart", "banking77", "snips_slots")
BATCHES = (1, 8, 32)
WARM_UP = 32
LIMITS = (0.5, 1.5)
UNLABELLED_SEED = 1
"""Seed of generated texts that differ from those of the teacher."""

app = typer.Typer(no_args_is_help=True, help=__doc__)
Cache = Annotated[Path, typer.Option(help="Folder with teachers, students and scores.")]


def teacher_overrides(name: str, folder: Path | None) -> tuple[str, list[str]]:
    """Return the configuration of a teacher, and what differs from it."""
    if folder is None:
        return "quickstart.yaml", []
    data = [f"data.train={folder}/{name}.train.jsonl", f"data.test={folder}/{name}.test.jsonl"]
    data.append("data.split.validation=0.1")
    if name == "banking77":
        return "banking77.yaml", data
    slots = ["data.validation=null", "augment=[]", "processor.preprocess=[collapse_whitespace]"]
    return "quickstart.yaml", [*data, *slots, f"name={name}", "training.num_train_epochs=4"]


@app.command()
def prepare(  # noqa: PLR0913 - one option for each choice
    cache: Cache,
    *,
    banking77: Annotated[Path | None, typer.Option(help="Folder of Banking77.")] = None,
    snips: Annotated[Path | None, typer.Option(help="Folder of the SNIPS slots.")] = None,
    only: Annotated[str, typer.Option(help="Names of the teachers to prepare, with commas.")] = ",".join(NAMES),
    layers: Annotated[str, typer.Option(help="As --layers of nlp-training compress.")] = "0-3",
    feed_forward: Annotated[str, typer.Option(help="As --feed-forward.")] = "full",
    epochs: Annotated[float, typer.Option(help="As --epochs.")] = 3.0,
    texts: Annotated[int, typer.Option(help="Number of generated texts without gold, for the quickstart model.")] = 0,
    settings: Annotated[list[str] | None, typer.Option("--set", help="As --set.")] = None,
    tag: Annotated[str, typer.Option(help="Distinguishes several calls for one teacher.")] = "a",
) -> None:
    """Train teachers and students into the cache."""
    quiet_libraries()
    folders = {"quickstart": None, "banking77": banking77, "snips_slots": snips}
    for name in only.split(","):
        config, overrides = teacher_overrides(name, folders[name])
        run = cache / "teachers" / name
        if not (run / "model" / "README.md").is_file():
            path = ROOT / "configs" / config
            train(load_config(path, [f"output_dir={cache / 'teachers'}", *overrides]), overwrite=True)
        options = CompressOptions(
            layers=tuple(layers.split(",")),
            feed_forward=tuple(None if one == "full" else int(one) for one in feed_forward.split(",")),
            epochs=epochs,
            settings=set_fields(settings, form="KEY=VALUE, such as training.learning_rate=1e-4"),
            rounds=1,
            measured=64,
        )
        out = cache / f"{name}-{tag}"
        started = time.perf_counter()
        unlabelled = {"synthetic_pii": {"split": "train", "size": texts, "seed": UNLABELLED_SEED}}
        compress(
            run,
            out,
            options=options,
            texts=unlabelled if texts and name == "quickstart" else None,
            resume=(out / "plan.json").is_file(),
        )
        Console().print(f"{name}: {(time.perf_counter() - started) / 60:.0f} min")


def candidates_of(cache: Path, name: str) -> dict[str, Candidate]:
    """Return the scored candidates of a teacher, of all calls of `prepare`."""
    found: dict[str, Candidate] = {}
    for path in sorted(cache.glob(f"{name}-*/candidates/*.json")):
        one = Candidate.model_validate_json(path.read_text(encoding="utf-8"))
        if not one.refused:
            found.setdefault(one.name, one)
    return found


def texts_of(cache: Path, name: str, count: int) -> list[str]:
    """Return the texts to predict."""
    if name == "quickstart":
        return make_texts(count)
    config = load_config(cache / "teachers" / name / "model" / "training.yaml")
    documents = load_documents(config.data.test["test"], default_split="test")
    step = max(1, len(documents) // count)
    return [one.raw_text for one in documents[::step]][:count]


def stock_pipeline(model: Path, batch_size: int) -> Callable[[list[str]], Any]:
    """Return a function that calls `transformers.pipeline` as a user would."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    spans = "TokenClassification" in config["architectures"][0]
    task, settings = (
        ("token-classification", {"aggregation_strategy": "simple"}) if spans else ("text-classification", {})
    )
    stock = pipeline(task, model=str(model), device="cpu", **settings)
    return lambda texts: stock(texts, batch_size=batch_size)


@app.command()
def measure(
    cache: Cache,
    only: Annotated[str, typer.Option(help="Names of the teachers, with commas.")] = ",".join(NAMES),
    documents: Annotated[int, typer.Option(help="Number of long texts; of short ones four times as many.")] = 256,
    rounds: Annotated[int, typer.Option(help="Number of measurements of each.")] = 5,
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures.")] = None,
) -> None:
    """Measure documents a second on an idle machine, and print the tables."""
    quiet_libraries()
    warnings.filterwarnings("ignore")  # the pipeline warns about how it is called
    figures = {}
    for name in only.split(","):
        found = candidates_of(cache, name)
        if not found:
            Console().print(f"{name}: nothing in {cache}")
            continue
        texts = texts_of(cache, name, documents if name == "quickstart" else 4 * documents)
        seconds = _seconds(cache / "teachers" / name / "model", found, texts, rounds)
        speeds = {one: len(texts) / value for one, value in seconds.items()}
        figures[name] = {"texts": len(texts), "speeds": speeds}
        _print(name, found, speeds)
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


@app.command()
def costs(
    model: Annotated[Path, typer.Argument(help="An artefact with an int8 export to ONNX.")],
    texts: Annotated[Path, typer.Argument(help="JSON Lines with `text`.")],
    rounds: Annotated[int, typer.Option(help="Number of predictions of all texts.")] = 8,
) -> None:
    """Print the CPU time of each thread for a text, in microseconds (Linux only)."""
    quiet_libraries()
    lines = [json.loads(line)["text"] for line in texts.read_text(encoding="utf-8").split("\n") if line]
    predictor = Predictor.from_pretrained(model, backend="onnx", dtype="int8", device="cpu")
    predictor.predict(lines[:WARM_UP])
    before, started = _thread_times(), time.perf_counter()
    with collecting_only_new_objects():
        for _ in range(rounds):
            predictor.predict(lines)
    elapsed, after = time.perf_counter() - started, _thread_times()
    predicted = rounds * len(lines)
    names = {str(thread.native_id): thread.name for thread in threading.enumerate()}
    Console().print(f"elapsed {1e6 * elapsed / predicted:.0f}")
    for thread, seconds in after.items():
        cost = 1e6 * (seconds - before.get(thread, 0.0)) / predicted
        if cost >= 1:
            Console().print(f"{names.get(thread, 'native')} {cost:.0f}")


def _thread_times() -> dict[str, float]:
    """Return the CPU seconds of each thread of this process."""
    times = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        times[task.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return times


def _seconds(teacher: Path, found: Mapping[str, Candidate], texts: list[str], rounds: int) -> dict[str, float]:
    runs: dict[str, Callable[[list[str]], Any]] = {
        f"pipeline, batch {size}": stock_pipeline(teacher, size) for size in BATCHES
    }
    for name, one in found.items():
        folder = one.folder or str(teacher)
        predictor = Predictor.from_pretrained(
            folder, backend=one.backend, dtype=one.dtype, device="cpu", max_characters=None
        )
        runs[name] = predictor.predict
    for run in runs.values():
        run(texts[:WARM_UP])
    return rounds_in_turn({name: lambda _, run=run: run(texts) for name, run in runs.items()}, rounds)


def _print(name: str, found: Mapping[str, Candidate], speeds: Mapping[str, float]) -> None:
    best = max(value for one, value in speeds.items() if one.startswith("pipeline"))
    tests = list(next(iter(found.values())).test)
    table = Table(title=name, title_justify="left")
    for column in ("", "documents / s", "x best pipeline", "validation", *tests):
        table.add_column(column, justify="right" if column else "left")
    for one, value in sorted(speeds.items(), key=lambda pair: pair[1]):
        scores = [] if one not in found else [found[one].validation, *found[one].test.values()]
        cells = [f"{100 * score.value:.2f} ({-score.drop:+.2f})" for score in scores if score is not None]
        table.add_row(one, f"{value:,.0f}", f"{value / best:.1f}", *cells)
    Console(width=140).print(table)
    for limit in LIMITS:
        within = [one for one, scored in found.items() if scored.validation and scored.validation.drop <= limit]
        within = [one for one in within if all(score.drop <= limit for score in found[one].test.values())]
        if within:
            fastest = max(within, key=speeds.__getitem__)
            Console().print(f"within {limit} points on all sets: {fastest}, {speeds[fastest] / best:.1f} x")


if __name__ == "__main__":
    app()
