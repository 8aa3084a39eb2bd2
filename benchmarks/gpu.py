"""Measure everything on a GPU in one call of less than eight minutes, without a network, and print tables.

    python benchmarks/gpu.py                       # on a machine with a GPU
    python benchmarks/gpu.py --reduced             # a few small measurements, also on a CPU: tests that it runs
    python benchmarks/gpu.py --only predict --model runs/pii/model

The tables are Markdown for docs/benchmarks.md, printed section by section as they become available; `--output` also
writes the rows as JSON Lines. Each section runs in its own process, so that an error of the driver or a lack of memory
ends one section only, and ends when its time is over; what was measured before is kept.

- machine: the card, and the products per second that it reaches in each precision (matrices of 8,192 rows), which is
  the peak that the shares below refer to.
- train: the generated documents of mixed length (`benchmarks/train.py mixed`): plain Trainer scripts and this library,
  with and without torch.compile; then a model of BERT-base's size, for the share of the peak.
- predict: documents per second, share of the peak, time outside the forward pass and memory of `Predictor` and of
  `transformers.pipeline` in fp16 at several batch sizes, with a model of BERT-base's size.
- latency: single texts.
- verify: the golden records of the trained model on the CPU and the GPU in each precision.
- onnx: ONNX Runtime on CUDA, if it is installed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from gpu_settings import FULL, REDUCED, Clock, Row, Settings

LIMITS = {"machine": 45.0, "train": 200.0, "predict": 200.0, "latency": 60.0, "verify": 60.0, "onnx": 60.0}
"""The most seconds of each section, in the order in which they run."""

TITLES = {
    "machine": "Machine",
    "train": "Training",
    "predict": "Prediction",
    "latency": "Single texts",
    "verify": "Verification across devices",
    "onnx": "ONNX Runtime on CUDA",
}


def section(name: str, settings: Settings, folder: Path, clock: Clock) -> Iterator[Row]:
    """Yield the rows of a section. Modules are imported here because the parent process needs none of them."""
    run: Callable[[Settings, Path, Clock], Iterator[Row]]
    if name == "machine":
        from gpu_machine import machine_rows as run
    elif name == "train":
        from gpu_train import train_rows as run
    elif name == "predict":
        from gpu_predict import predict_rows as run
    elif name == "latency":
        from gpu_predict import latency_rows as run
    elif name == "verify":
        from gpu_verify import verify_rows as run
    else:
        from gpu_verify import onnx_rows as run
    yield from run(settings, folder, clock)


def run_section(name: str, settings: Settings, folder: Path, seconds: float) -> list[Row]:
    """Run a section in its own process, and return its rows; the last one states a failure."""
    rows = folder / f"{name}.jsonl"
    command = [sys.executable, __file__, "--only", name, "--folder", folder, "--seconds", seconds, "--child"]
    command += ["--device", settings.device, *(["--reduced"] if settings.reduced else [])]
    command += ["--model", settings.model] if settings.model else []
    with (folder / f"{name}.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, start_new_session=True)
        try:
            status: int | None = process.wait(timeout=seconds + 5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the trainings that it started
            process.wait()
            status = None
        log.seek(0)
        last = (log.read().strip().splitlines() or ["no message"])[-1]
    found = [json.loads(line) for line in rows.read_text().splitlines()] if rows.is_file() else []
    if status is None:
        found.append({"": "(the rest)", "note": f"not measured: {seconds:.0f} seconds were over"})
    elif status:
        found.append({"": "(the rest)", "note": f"failed: {last[:200]}"})
    return found


def markdown(rows: list[Row]) -> str:
    """Return a Markdown table whose columns are all keys of the rows.

    Example:
        >>> print(markdown([{"": "a", "docs / s": "7"}, {"": "b", "note": "not installed"}]))
        | | docs / s | note |
        | --- | ---: | --- |
        | a | 7 | |
        | b | | not installed |
    """
    columns = sorted(dict.fromkeys(key for row in rows for key in row), key=lambda key: key == "note")
    lines = [columns, ["---" if key in ("", "note") else "---:" for key in columns]]
    lines += [[str(row.get(key, "")) for key in columns] for row in rows]
    return "\n".join("|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines)


def _write_rows(name: str, settings: Settings, folder: Path, seconds: float) -> None:
    """Write each row as soon as it is measured, in the process of a section."""
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for row in section(name, settings, folder, Clock(seconds)):
            file.write(json.dumps(row) + "\n")
            file.flush()


def _settings(*, device: str | None, reduced: bool, model: Path | None) -> Settings:
    if device is None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not reduced:
        raise typer.BadParameter("there is no GPU; --reduced runs a few small measurements on a CPU")
    chosen = REDUCED if reduced else FULL
    return chosen._replace(device=device, model=model)


def main(
    *,
    only: Annotated[list[str] | None, typer.Option(help="A section to run; repeatable. Default: all.")] = None,
    device: Annotated[str | None, typer.Option(help="Such as cuda:1. Default: the first GPU.")] = None,
    reduced: Annotated[bool, typer.Option("--reduced", help="A few small measurements, also on a CPU.")] = False,
    model: Annotated[Path | None, typer.Option(help="A trained model in place of the one that `train` trains.")] = None,
    seconds: Annotated[float, typer.Option(help="Time limit of the complete call.")] = 460.0,
    output: Annotated[Path | None, typer.Option(help="A file for the rows, as JSON Lines.")] = None,
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Run the sections and print their tables."""
    names = only or list(LIMITS)
    if unknown := [name for name in names if name not in LIMITS]:
        raise typer.BadParameter(f"unknown section {', '.join(unknown)}; choose from {', '.join(LIMITS)}")
    settings = _settings(device=device, reduced=reduced, model=model)
    if child and folder is not None:
        _write_rows(names[0], settings, folder, seconds)
        return
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            left = min(LIMITS[name], until - time.monotonic() - 10)
            rows = (
                run_section(name, settings, Path(temporary), left) if left > 15 else [{"": "", "note": "no time left"}]
            )
            print(f"### {TITLES[name]}\n\n{markdown(rows)}\n", flush=True)
            if output is not None:
                with output.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps({"section": name, **row}) + "\n" for row in rows)


if __name__ == "__main__":
    typer.run(main)
