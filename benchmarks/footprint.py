"""Compare disk, distributions, start time and memory of serving with those of transformers with torch.

    nlp-training export runs/quickstart --dtype int8
    python benchmarks/footprint.py --model runs/quickstart/model

Two new virtual environments are created. One installs this package from the last commit of the checkout and predicts
with ONNX Runtime in int8; the other installs transformers and torch and predicts with `transformers.pipeline`. Versions
are those of constraints.txt. Each then predicts one text in new processes, alternately, after one warm-up. Measured are

- the size of the installed files, without pip and setuptools, which a new environment contains anyway, and with
  them (Python 3.12 and later install pip only);
- the number of distributions, including this package, without pip and setuptools;
- wall time from before the interpreter starts until the prediction exists, and its CPU time;
- peak resident memory (`ru_maxrss`).

To use an index other than PyPI, configure pip (`PIP_INDEX_URL`).
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
TEXT = "Ana Lopez lives in Rome, her number is +34 600 111 222"
OURS, PEER = "nlp-inference, int8", "transformers + torch, pipeline"
REQUIREMENTS = {OURS: [f"git+file://{ROOT}"], PEER: ["transformers", "torch"]}
PREDICT = {
    OURS: """
from nlp_inference import Predictor
found = Predictor.from_pretrained(sys.argv[1], backend="onnx", dtype="int8").predict([sys.argv[2]])[0].predicted.spans
""",
    PEER: """
from transformers import pipeline
found = pipeline("token-classification", sys.argv[1], aggregation_strategy="simple")(sys.argv[2])
""",
}
MEASURED = """
import json, resource, sys, time
{predict}
measured = {{
    "ended": time.time(),
    "cpu": time.process_time(),
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    "found": len(found),
}}
print("MEASURED", json.dumps(measured))
"""
TOOLS = frozenset({"pip", "setuptools"})
COUNT = """
import json
from importlib.metadata import distributions
sizes = {}
for one in distributions():
    files = [file.locate() for file in one.files or ()]
    sizes[one.name] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(sizes))
"""
LIMITS = {"MB": 400, "MB with pip": None, "distributions": 45, "seconds": 1.5, "CPU seconds": None, "resident MB": 250}
DECIMALS = {"seconds": 2, "CPU seconds": 2}


def install(folder: Path, requirements: list[str]) -> Path:
    """Create a virtual environment with the requirements and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    quietly = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([python, *quietly, "--constraint", ROOT / "constraints.txt", *requirements], check=True)
    return python


def installed(python: Path) -> dict[str, float]:
    """Return size and number of the distributions in an environment."""
    sizes = json.loads(subprocess.run([python, "-c", COUNT], capture_output=True, text=True, check=True).stdout)
    ours = {name: size for name, size in sizes.items() if name.lower() not in TOOLS}
    return {
        "MB": sum(ours.values()) / 1e6,
        "MB with pip": sum(sizes.values()) / 1e6,
        "distributions": len(ours),
    }


def start(python: Path, *, which: str, model: Path) -> dict[str, float]:
    """Predict one text in a new process."""
    code = MEASURED.format(predict=PREDICT[which])
    begun = time.time()
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code, model, TEXT], capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode:
        sys.exit(done.stderr)
    measured = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("MEASURED"))[9:])
    assert measured["found"], "the model must find a span in the text"
    return {"seconds": measured["ended"] - begun, "CPU seconds": measured["cpu"], "resident MB": measured["memory"]}


def table(measured: dict[str, dict[str, float]]) -> Table:
    """Return a table with the limit of each measure and the ratio to the baseline."""
    shown = Table(title="footprint of serving")
    for name in ("", OURS, "limit", PEER, "peer / ours"):
        shown.add_column(name, justify="right")
    for name, limit in LIMITS.items():
        ours, peer = measured[OURS][name], measured[PEER][name]
        decimals = DECIMALS.get(name, 0)
        below = "" if limit is None else f"< {limit}"
        shown.add_row(name, f"{ours:,.{decimals}f}", below, f"{peer:,.{decimals}f}", f"{peer / ours:.1f}")
    return shown


def main(
    model: Annotated[Path, typer.Option(help="Artefact with onnx/model_int8.onnx and weights.")],
    rounds: Annotated[int, typer.Option(help="Process starts of each; medians are printed.")] = 11,
    folder: Annotated[Path | None, typer.Option(help="Folder in which the environments are kept and reused.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures.")] = None,
) -> None:
    """Measure both and print the table; the exit status is 1 if a limit is exceeded."""
    with tempfile.TemporaryDirectory() as temporary:
        kept = folder or Path(temporary)
        pythons = {}
        for name, which in (("ours", OURS), ("peer", PEER)):
            python = kept.absolute() / name / "bin" / "python"
            pythons[which] = python if python.exists() else install(kept.absolute() / name, REQUIREMENTS[which])
        starts: dict[str, list[dict[str, float]]] = {which: [] for which in pythons}
        for number in range(rounds + 1):
            for which, python in pythons.items():
                started = start(python, which=which, model=model.absolute())
                starts[which] += [started] if number else []
        measured = {
            which: installed(python)
            | {name: statistics.median(one[name] for one in starts[which]) for name in starts[which][0]}
            for which, python in pythons.items()
        }
    Console().print(table(measured))
    if out is not None:
        out.write_text(json.dumps({"medians": measured, "starts": starts}, indent=2), encoding="utf-8")
    exceeded = [name for name, limit in LIMITS.items() if limit is not None and measured[OURS][name] >= limit]
    if exceeded:
        sys.exit(f"limit exceeded: {', '.join(exceeded)}")


if __name__ == "__main__":
    typer.run(main)
