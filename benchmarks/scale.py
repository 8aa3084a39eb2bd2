"""Estimate the cost of a million and a billion documents: core seconds per document times the price of a core.

    python benchmarks/scale.py --model runs/quickstart/model --price 0.03 --price 0.012

The Predictor runs on all cores, as an actor does on its share of a machine. Core seconds are the CPU time of this
process with all its threads, so other work on the machine does not count. Reading and writing files is included. The
figures are medians over the rounds.
"""

import json
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from side_by_side import make_texts

from nlp_inference import Predictor
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.records import USUAL
from nlp_inference.integrations.ray.parts import PartFiles
from nlp_inference.integrations.ray.plan import Plan, source_files
from nlp_inference.integrations.ray.reading import ShardItems

MILLION, BILLION, HOUR = 10**6, 10**9, 3600


def run_shards(predictor: Predictor, source: Path, output: Path) -> None:
    """Do the work of the actors of a job, shard by shard in this process."""
    files = source_files(str(source))
    plan = Plan(model="", backend="", dtype="", output_format=FileFormat.LINES, files=files)
    parts = PartFiles(str(output), file_format=FileFormat.LINES)
    for shard in plan.shards():
        parts.write(shard, predictor.stream(ShardItems(shard, columns=USUAL), on_error="record"))


def measure(predictor: Predictor, documents: int, rounds: int) -> tuple[float, float]:
    """Return core seconds and wall seconds per document."""
    with TemporaryDirectory() as folder:
        source = Path(folder, "in.jsonl")
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in make_texts(documents)))
        run_shards(predictor, source, Path(folder, "warm"))
        costs = []
        for number in range(rounds):
            cpu, wall = time.process_time(), time.perf_counter()
            run_shards(predictor, source, Path(folder, str(number)))
            costs.append(((time.process_time() - cpu) / documents, (time.perf_counter() - wall) / documents))
    return statistics.median_low(cpu for cpu, _ in costs), statistics.median_low(wall for _, wall in costs)


def main(
    model: Annotated[Path, typer.Option(help="A folder that training wrote.")] = Path("runs/quickstart/model"),
    price: Annotated[list[float], typer.Option(help="Price of a core hour, in any currency.")] = [0.03, 0.012],  # noqa: B006 - typer's
    hours: Annotated[float, typer.Option(help="Hours available for a billion documents.")] = 24,
    documents: Annotated[int, typer.Option(help="Number of texts per round.")] = 512,
    rounds: Annotated[int, typer.Option(help="Number of measurements.")] = 5,
    dtype: Annotated[str, typer.Option(help="Precision of the weights.")] = "float32",
    backend: Annotated[str, typer.Option(help="auto, torch or onnx.")] = "auto",
) -> None:
    """Measure and print the table."""
    if not model.is_dir():
        raise typer.BadParameter(f"no model in {model}; create one with: make quickstart")
    quiet_libraries()
    predictor = Predictor.from_pretrained(model, device="cpu", backend=backend, dtype=dtype)
    core_seconds, seconds = measure(predictor, documents, rounds)
    table = Table(title=f"{predictor.backend.name} {dtype}: {1 / core_seconds:.0f} documents per core second")
    for column in ("", "a million", "a billion"):
        table.add_column(column, justify="left" if not column else "right")
    each = core_seconds / HOUR
    table.add_row("core hours", f"{each * MILLION:,.2f}", f"{each * BILLION:,.0f}")
    for one in price:
        table.add_row(f"at {one} per core hour", f"{each * MILLION * one:,.3f}", f"{each * BILLION * one:,.0f}")
    table.add_row(f"cores for {hours:g} h", "", f"{each * BILLION / hours:,.0f}")
    console = Console()
    console.print(table)
    console.print(f"wall clock, {os.cpu_count()} cores: {1 / seconds:.0f} documents per second", highlight=False)


if __name__ == "__main__":
    typer.run(main)
