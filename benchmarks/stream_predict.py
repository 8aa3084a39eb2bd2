"""Measure memory and time of `nlp-inference predict` on files of a thousand to a million documents.

    python benchmarks/stream_predict.py --model runs/quickstart/model            # 1,000, 10,000 and 100,000 documents
    python benchmarks/stream_predict.py --tiny   # a model that takes almost no time, to show all other costs
    python benchmarks/stream_predict.py --million --plot docs/images/stream_predict.svg

Each file is predicted by its own process, in the same way as the command does: JSON Lines in, JSON Lines out, with
records of failed documents and a progress file. Wall and CPU time are measured after a warm-up, and the resident memory
ten times per second; `steady` is the median of the second half of a run, `peak` the maximum reported by the kernel. All
files begin with the same documents and have the same average length.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

WORDS_MEAN, WORDS_SIGMA, WORDS_MAX = 3.0, 0.6, 120  # of the logarithm: 24 words on average
FEW_SPANS = 0.22  # bias with which the tiny, random model predicts about three spans per text
SAMPLES_A_SECOND, WARM_UP = 10, 256
MEGABYTE = 1e6


def write_documents(path: Path, *, count: int) -> None:
    """Write documents of log-normal length, joined from generated words; one in a thousand is invalid."""
    from nlp_training.data import generate_documents

    rng = Random(0)
    words = [word for document in generate_documents(split="test", size=2000) for word in document.raw_text.split()]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            length = min(WORDS_MAX, max(1, round(rng.lognormvariate(WORDS_MEAN, WORDS_SIGMA))))
            start = rng.randrange(len(words) - length)
            text = 7 if number % 1000 == 500 else " ".join(words[start : start + length])
            file.write(json.dumps({"id": f"d{number}", "text": text}) + "\n")


def measure(model: str, path: Path, output: Path) -> None:
    """Predict a file and print the measurements as JSON."""
    from nlp_inference import Predictor
    from nlp_inference.files.formats import FileFormat
    from nlp_inference.files.provenance import Provenance
    from nlp_inference.files.reading import open_source
    from nlp_inference.files.records import Columns
    from nlp_inference.files.resuming import writing_file

    predictor = Predictor.from_pretrained(model)
    predictor.predict(["Ana lives in Rome. " * (1 + number % 10) for number in range(WARM_UP)])
    provenance = Provenance.of(predictor, output_format=FileFormat.LINES, columns=Columns())
    done, samples, ended = [0], [], Event()

    def sample() -> None:
        process = psutil.Process()
        while not ended.wait(1 / SAMPLES_A_SECOND):
            samples.append((done[0], process.memory_info().rss / MEGABYTE))

    sampling = Thread(target=sample, daemon=True)
    sampling.start()
    wall, cpu = time.perf_counter(), time.process_time()
    with open_source(str(path)) as opened, writing_file(output, provenance=provenance, resume=False) as file:
        for result in predictor.stream(opened.items, on_error="record"):
            file.write(result)
            done[0] += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    ended.set()
    sampling.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    measured = {"documents": done[0], "wall": wall, "cpu": cpu, "peak": peak, "samples": samples}
    print("MEASURED", json.dumps(measured))


def save_tiny(folder: Path) -> str:
    """Save a model that takes almost no time to run, and return its folder."""
    from side_by_side import new_processor, save_untrained

    from nlp_inference import TokenClassification

    task = TokenClassification(labels=("PERSON", "CITY"), outside_bias=FEW_SPANS)
    save_untrained(folder, new_processor(task), tiny=True)
    return str(folder)


def run(model: str, count: int, folder: Path) -> dict:
    """Measure one size in a new process."""
    path, output = folder / f"{count}.jsonl", folder / f"{count}.out.jsonl"
    if not path.exists():
        write_documents(path, count=count)
    command = [sys.executable, __file__, "--measure", str(path), "--output", str(output), "--model", model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    with output.open("rb") as file:
        assert sum(1 for _ in file) == count, "one record for each document"
    output.unlink()
    measured = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("MEASURED"))[9:])
    second_half = [megabytes for documents, megabytes in measured["samples"] if documents >= count / 2]
    return {**measured, "steady": statistics.median(second_half or [measured["peak"]])}


def table(runs: dict[int, list[dict]]) -> Table:
    """Return a table with a line for each size; times are medians of the rounds."""
    shown = Table(title="nlp-inference predict")
    for name in ("documents", "s", "CPU s", "documents / s", "s × linear", "CPU s × linear", "steady MB", "peak MB"):
        shown.add_column(name, justify="right")
    first = min(runs)
    linear = {}  # time per document in the smallest file
    for count, rounds in runs.items():
        wall, cpu, steady, peak = (
            statistics.median(one[name] for one in rounds) for name in ("wall", "cpu", "steady", "peak")
        )
        if count == first:
            linear = {"wall": wall / count, "cpu": cpu / count}
        ratios = (f"{wall / count / linear['wall']:.3f}", f"{cpu / count / linear['cpu']:.3f}")
        speed = (f"{wall:.1f}", f"{cpu:.1f}", f"{count / wall:,.0f}", *ratios)
        shown.add_row(f"{count:,}", *speed, f"{steady:.0f}", f"{peak:.0f}")
    return shown


def plot(runs: dict[int, list[dict]]) -> str:
    """Plot resident memory over the share of finished documents, one line per size, as SVG."""
    width, height, left, bottom = 640, 300, 60, 40
    colors = ("#1b6ca8", "#d1495b", "#2e8b57", "#8d5fa8")
    top = max(megabytes for rounds in runs.values() for one in rounds for _, megabytes in one["samples"]) * 1.1

    def point(share: float, megabytes: float) -> str:
        return f"{left + share * (width - left - 20):.1f},{(height - bottom) * (1 - megabytes / top):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        "<style>text {font: 12px sans-serif}</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<path d="M{point(0, top)} L{point(0, 0)} L{point(1, 0)}" fill="none" stroke="#444"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = point(share, 0).split(",")
        parts.append(f'<text x="{x}" y="{float(y) + 16:.1f}" text-anchor="middle">{share:.0%}</text>')
    parts += [
        f'<text x="{left - 6}" y="{float(point(0, level).split(",")[1]) + 4}" text-anchor="end">{level:.0f}</text>'
        for level in (top * step / 4 for step in range(4))
    ]
    parts.append(f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">documents done</text>')
    parts.append('<text x="14" y="14">resident memory, MB</text>')
    for number, (count, rounds) in enumerate(runs.items()):
        samples = rounds[0]["samples"]
        thinned = samples[:: max(1, len(samples) // 400)]
        points = " ".join(point(documents / count, megabytes) for documents, megabytes in thinned)
        color = colors[number % len(colors)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        y = height - bottom - 12 - 16 * number
        parts.append(f'<text x="{width - 150}" y="{y}" fill="{color}">{count:,} documents</text>')
    return "\n".join([*parts, "</svg>\n"])


def main(
    model: Annotated[str, typer.Option(help="A folder that training wrote.")] = "runs/quickstart/model",
    counts: Annotated[list[int], typer.Option("--count", help="Documents of a file; can be repeated.")] = [  # noqa: B006
        1_000,
        10_000,
        100_000,
    ],
    *,
    tiny: Annotated[bool, typer.Option("--tiny", help="A tiny model in place of --model.")] = False,
    million: Annotated[bool, typer.Option("--million", help="Also measure a million documents.")] = False,
    rounds: Annotated[int, typer.Option(help="Number of measurements of each size except the largest.")] = 3,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="SVG file for a plot of the memory.")] = None,
    measured: Annotated[Path | None, typer.Option("--measure", hidden=True)] = None,
    output: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure and print the table."""
    if measured is not None and output is not None:
        measure(model, measured, output)
        return
    sizes = sorted({*counts, *([1_000_000] if million else [])})
    runs: dict[int, list[dict]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory() as folder:
        model = save_tiny(Path(folder, "tiny")) if tiny else model
        for number in range(rounds):
            for size in sizes if number == 0 else sizes[:-1]:
                runs[size].append(run(model, size, Path(folder)))
    Console(width=110).print(table(runs))
    if plot_file is not None:
        plot_file.write_text(plot(runs), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
