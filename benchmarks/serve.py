"""Compare `nlp-inference serve` with servers around `transformers.pipeline`, with one model in one run.

    python benchmarks/serve.py --model runs/quickstart/model --minutes 20

`--minutes` shortens the loads so that all tables fit; without it each load takes `--seconds`. The expected time is
printed first.

Load comes from another process on this machine and shares its cores. Servers run one at a time; rounds are interleaved,
and each figure is the median of its rounds. `pipeline` is FastAPI around `transformers.pipeline` with the number of
threads that is fastest here; LitServe is compared if it is installed. "offline" is `Predictor.predict` of the texts.
The other tables: one client and a direct call; short texts together with a long document each second; ten times the
load that the queue accepts; the time and the memory of a start.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from side_by_side import make_texts

FOLDER = Path(__file__).parent

_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""As of an installed package, whose modules are compiled."""

TABLES = ("load", "single", "long", "overload", "start")
DEADLINE = 5.0
"""Seconds in which the server of the overload must answer what it accepts."""

START_SECONDS = 5.0
"""An estimate of the start of a server with its warm-up."""


class Load(NamedTuple):
    """The result of one load.

    Attributes:
        rate: answered requests per second.
        p50, p99: milliseconds.
        accepted: the number of requests with a result, or whose deadline passed (504).
        in_time: the number of requests with a result within the deadline.
        refused: the number of requests with status 429.
        other: the number of other errors.
    """

    rate: float
    p50: float
    p99: float
    accepted: int
    in_time: int
    refused: int
    other: int


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def server(
    command: Callable[[int], list[str]], **environment: str
) -> Iterator[tuple[int, subprocess.Popen[bytes], float]]:
    """Start a server, and yield its port, its process and the seconds until it was ready."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        command(port),
        env={**_ENVIRONMENT, **environment},
        cwd=FOLDER,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not is_ready(port):
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command(port))} ended with status {process.returncode}")
            time.sleep(0.02)
        yield port, process, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # processes that it started and left


def is_ready(port: int) -> bool:
    """Return whether `/readyz` gives 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def run_load(port: int, texts: Path, *, clients: int, seconds: float, path: str = "/") -> Load:
    """Run clients in another process, each of which waits for its response before the next request."""
    arguments = [path, str(port), str(clients), str(seconds), str(texts)]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "serve_load.py"), *arguments], capture_output=True, check=True, text=True
    )
    seen = np.array(json.loads(done.stdout))
    status, latency = seen[:, 2], 1000 * seen[:, 1][seen[:, 2] == 200]
    return Load(
        rate=len(latency) / seconds,
        p50=float(np.median(latency)) if len(latency) else float("nan"),
        p99=float(np.quantile(latency, 0.99)) if len(latency) else float("nan"),
        accepted=int(np.isin(status, (200, 504)).sum()),
        in_time=int((latency <= 1000 * DEADLINE).sum()),
        refused=int((status == 429).sum()),
        other=int((~np.isin(status, (200, 429, 504))).sum()),
    )


def ours(model: Path, dtype: str, *options: str) -> Callable[[int], list[str]]:
    """Return the command of our server."""
    serve = [sys.executable, "-m", "nlp_inference.cli", "serve", f"model={model}", "--log-level", "warning"]
    backend = ["--backend", "onnx", "--dtype", dtype]
    return lambda port: [*serve, *backend, "--port", str(port), *options]


def fastapi_peer(port: int) -> list[str]:
    """Return the command of FastAPI around the pipeline."""
    return [sys.executable, "-m", "uvicorn", "--factory", "serve_peers:fastapi", "--port", str(port), "--no-access-log"]


def litserve_peer(port: int) -> list[str]:
    """Return the command of LitServe around the pipeline."""
    return [sys.executable, "serve_litserve.py", "--port", str(port)]


def median(loads: Sequence[Load]) -> Load:
    """Return the median of each figure."""
    return Load(*(statistics.median(column) for column in zip(*loads, strict=True)))  # type: ignore[arg-type]  # a median of integers


def best_threads(model: Path, texts: Path, *, clients: int) -> str:
    """Return the number of threads with which FastAPI around the pipeline answers most requests."""
    rates = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        with server(fastapi_peer, SERVE_MODEL=str(model), SERVE_THREADS=str(threads)) as (port, _, _):
            run_load(port, texts, clients=clients, seconds=2)
            rates[str(threads)] = run_load(port, texts, clients=clients, seconds=5).rate
    return max(rates, key=lambda one: rates[one])


def offline_rate(model: Path, dtype: str, texts: Path, *, seconds: float) -> float:
    """Return the texts per second of `Predictor.predict`, in another process."""
    code = (
        "import json,sys,time;from nlp_inference import Predictor;"
        "p=Predictor.from_pretrained(sys.argv[1],backend='onnx',dtype=sys.argv[2]);"
        "t=json.load(open(sys.argv[3]));p.predict(t[:200]);b=time.perf_counter();n=0\n"
        "while time.perf_counter()-b<float(sys.argv[4]): p.predict(t[:1000]);n+=1000\n"
        "print(n/(time.perf_counter()-b))"
    )
    arguments = [str(model), dtype, str(texts), str(seconds)]
    return float(subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=True).stdout)


def main(
    *,
    model: Annotated[Path, typer.Option(help="Model folder with ONNX exports in float32 and int8.")],
    clients: int = 64,
    seconds: Annotated[float, typer.Option(help="Seconds of each load.")] = 60,
    rounds: int = 3,
    overload_seconds: float = 60,
    minutes: Annotated[float | None, typer.Option(help="Total minutes, from which `--seconds` is computed.")] = None,
    table: Annotated[list[str] | None, typer.Option(help=f"{', '.join(TABLES)}. Default: all.")] = None,
) -> None:
    """Print the tables."""
    model = model.resolve()
    tables = table or TABLES
    console = Console(width=120)
    if minutes is not None:
        fixed = expected_seconds(tables, seconds=0, rounds=rounds, overload_seconds=overload_seconds)
        each = expected_seconds(tables, seconds=1, rounds=rounds, overload_seconds=overload_seconds) - fixed
        seconds = max(5.0, (60 * minutes - fixed) // max(each, 1))
    total = expected_seconds(tables, seconds=seconds, rounds=rounds, overload_seconds=overload_seconds)
    console.print(f"{rounds} rounds with {seconds:g} seconds for each load: about {total / 60:.0f} minutes")
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps(mixed_texts()), encoding="utf-8")
        makers = {
            "load": lambda: compare_load(model, texts, clients=clients, seconds=seconds, rounds=rounds),
            "single": lambda: compare_single(model, texts, rounds=rounds),
            "long": lambda: compare_long(model, Path(folder), texts, seconds=seconds, rounds=rounds),
            "overload": lambda: overload(model, texts, seconds=overload_seconds),
            "start": lambda: starts(model, rounds=rounds),
        }
        for name in tables:
            console.print(makers[name]())


def expected_seconds(tables: Sequence[str], *, seconds: float, rounds: int, overload_seconds: float) -> float:
    """Return an estimate of the total time."""
    servers = 4 if find_spec("litserve") else 3
    each = {
        "load": 2 * (START_SECONDS + 7) + rounds * (servers * (START_SECONDS + 5 + seconds) + 2 * (10 + seconds / 2)),
        "single": 2 * (2 * START_SECONDS + rounds * 9),
        "long": 2 * (START_SECONDS + rounds * (2 + seconds)),
        "overload": START_SECONDS + 4 + overload_seconds,
        "start": (rounds + 1) * START_SECONDS,
    }
    return sum(each[name] for name in tables)


def mixed_texts() -> list[str]:
    """Return 2,000 texts of log-normal length, all different, which fit into the 512 tokens of the pipeline."""
    return [f"Request {number}. {text}" for number, text in enumerate(make_texts(2000))]


def compare_load(model: Path, texts: Path, *, clients: int, seconds: float, rounds: int) -> Table:
    """Compare the servers under the same load, and with offline prediction."""
    threads = best_threads(model, texts, clients=clients)
    peer = {"SERVE_MODEL": str(model), "SERVE_THREADS": threads}
    servers: dict[str, tuple[Callable[[int], list[str]], dict[str, str], str]] = {
        f"FastAPI + pipeline, {threads} thread(s)": (fastapi_peer, peer, "/"),
        "ours, float32": (ours(model, "float32"), {}, "/"),
        "ours, int8": (ours(model, "int8"), {}, "/"),
    }
    if find_spec("litserve"):
        servers["LitServe + pipeline"] = (litserve_peer, peer | {"SERVE_THREADS": str(os.cpu_count())}, "/predict")
    found: dict[str, list[Load]] = {name: [] for name in servers}
    offline: dict[str, list[float]] = {"float32": [], "int8": []}
    for _ in range(rounds):
        for name, (command, environment, path) in servers.items():
            with server(command, **environment) as (port, _, _):
                run_load(port, texts, clients=clients, seconds=3, path=path)
                found[name].append(run_load(port, texts, clients=clients, seconds=seconds, path=path))
        for dtype, rates in offline.items():
            rates.append(offline_rate(model, dtype, texts, seconds=seconds / 2))
    peers = max(median(loads).rate for name, loads in found.items() if not name.startswith("ours"))
    table = Table("server", "requests/s", "times the best peer", "of offline", "p50 ms", "p99 ms", "errors")
    for name, loads in found.items():
        load = median(loads)
        dtype = name.rpartition(" ")[2]
        share = f"{load.rate / statistics.median(offline[dtype]):.0%}" if dtype in offline else ""
        row = [f"{load.rate:.1f}", f"{load.rate / peers:.2f}", share, f"{load.p50:.0f}", f"{load.p99:.0f}"]
        table.add_row(name, *row, str(int(load.other)))
    return table


def compare_single(model: Path, texts: Path, *, rounds: int) -> Table:
    """Compare one client with a direct call of the Predictor."""
    from nlp_inference import Predictor

    table = Table("one client", "direct ms", "served ms", "difference ms")
    some = json.loads(texts.read_text(encoding="utf-8"))[:200]
    for dtype in ("float32", "int8"):
        predictor = Predictor.from_pretrained(model, backend="onnx", dtype=dtype)
        predictor.predict(some[:10])
        direct, served = [], []
        with server(ours(model, dtype)) as (port, _, _):
            for _ in range(rounds):
                times = []
                for text in some:
                    begin = time.perf_counter()
                    predictor.predict(text)
                    times.append(1000 * (time.perf_counter() - begin))
                direct.append(statistics.median(times))
                served.append(run_load(port, texts, clients=1, seconds=5).p50)
        both = statistics.median(direct), statistics.median(served)
        table.add_row(dtype, f"{both[0]:.2f}", f"{both[1]:.2f}", f"{both[1] - both[0]:.2f}")
    return table


def compare_long(model: Path, folder: Path, texts: Path, *, seconds: float, rounds: int) -> Table:
    """Compare short requests alone and together with a document of 3,000 words each second."""
    short = folder / "short.json"
    short.write_text(json.dumps(make_texts(1000)), encoding="utf-8")
    words = " ".join(json.loads(texts.read_text(encoding="utf-8"))).split()
    table = Table("4 clients with short texts", "alone p99 ms", "with long documents p99 ms", "ratio")
    for dtype in ("float32", "int8"):
        alone, together = [], []
        with server(ours(model, dtype)) as (port, _, _):
            for number in range(rounds):
                alone.append(run_load(port, short, clients=4, seconds=seconds / 2).p99)
                stop = subprocess.Popen([sys.executable, "-c", _LONG, str(port), json.dumps(words[number:][:3000])])
                together.append(run_load(port, short, clients=4, seconds=seconds / 2).p99)
                stop.kill()
                stop.wait()
        both = statistics.median(alone), statistics.median(together)
        table.add_row(dtype, f"{both[0]:.1f}", f"{both[1]:.1f}", f"{both[1] / both[0]:.2f}")
    return table


_LONG = """
import json, sys, threading, time, urllib.request
words = json.loads(sys.argv[2])
def send(number):
    body = json.dumps({"inputs": f"Document {number}. " + " ".join(words)}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()
for number in range(10_000):
    threading.Thread(target=send, args=[number], daemon=True).start()
    time.sleep(1)
"""


def overload(model: Path, texts: Path, *, seconds: float) -> Table:
    """Send ten times the requests that the queue accepts, in three parts, to see whether the memory grows."""
    names = (
        "answered/s",
        "accepted, in time",
        "429",
        "other errors",
        "p99 ms",
        "memory before and after each third, MB",
    )
    table = Table("10 x overload, int8", *names)
    with server(ours(model, "int8", "--max-queue", "32", "--timeout", f"{DEADLINE:g}")) as (port, process, _):
        run_load(port, texts, clients=32, seconds=3)
        memory, loads = [resident(process.pid)], []
        for _ in range(3):
            loads.append(run_load(port, texts, clients=320, seconds=seconds / 3))
            memory.append(resident(process.pid))
        alive = process.poll() is None and is_ready(port)
    accepted, in_time = sum(load.accepted for load in loads), sum(load.in_time for load in loads)
    other = sum(load.other for load in loads) + (not alive)
    table.add_row(
        "",
        f"{statistics.mean(load.rate for load in loads):.1f}",
        f"{in_time / max(1, accepted):.2%} of {accepted}",
        str(sum(load.refused for load in loads)),
        str(other),
        f"{max(load.p99 for load in loads):.0f}",
        ", ".join(map(str, memory)),
    )
    return table


def resident(pid: int) -> int:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) // 1024


def starts(model: Path, *, rounds: int) -> Table:
    """Measure the start of a server without torch, which serving does not need."""
    hidden = "import sys; sys.modules['torch'] = None; from nlp_inference.cli import app; app()"
    arguments = ["serve", f"model={model}", "--backend", "onnx", "--dtype", "int8", "--log-level", "warning"]
    seconds, memory = [], []
    for _ in range(rounds + 1):
        command = [sys.executable, "-c", hidden, *arguments]
        with server(lambda port, command=command: [*command, "--port", str(port)]) as (_, process, ready):  # type: ignore[misc]  # a bound default
            seconds.append(ready)
            memory.append(resident(process.pid))
    table = Table("start, int8, without torch", "seconds to ready", "memory MB")
    table.add_row(
        "", f"{statistics.median(seconds[1:]):.2f}", str(int(statistics.median(memory)))
    )  # the first one compiles modules
    return table


if __name__ == "__main__":
    typer.run(main)
