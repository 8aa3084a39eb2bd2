"""Speed and size of artefacts, each measured in fresh processes, in interleaved rounds."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from nlp_inference import Document
from nlp_inference.backends.descriptors import find_backend
from nlp_inference.errors import VerificationError
from nlp_training.compress.options import Variant
from nlp_training.data.formats import write_jsonl

_SCRIPT = Path(__file__).with_name("measured_process.py")
_NOT_SERVED = (".md", "golden.json", "training.yaml", "_log.json", "_report.json", "metrics.json", "profile.json")
"""Ends of names of files that production does not read."""


class Measured(BaseModel):
    """The speed and the size of an artefact.

    Attributes:
        documents_per_second: of a stream of documents, the median of the rounds.
        p50, p95: milliseconds of a single document.
        disk: MB of the files that production reads.
        resident: MB of memory after the predictions.
        start: seconds from the start of the process to the first prediction.
    """

    model_config = ConfigDict(frozen=True)

    documents_per_second: float
    p50: float
    p95: float
    disk: float
    resident: float
    start: float


class Artefact(NamedTuple):
    """An artefact to measure, in one variant."""

    folder: Path
    variant: Variant


def measure(
    artefacts: Mapping[str, Artefact], documents: Sequence[Document], *, rounds: int = 3
) -> Iterator[tuple[str, Measured]]:
    """Measure artefacts; each round starts a process for each of them, one after the other.

    Args:
        artefacts: the artefacts by name.
        documents: the documents to predict, without gold.
        rounds: the number of rounds.

    Yields:
        The name of each artefact and its medians, after the last round.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in artefacts}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "texts.jsonl"
        write_jsonl([one.unannotated() if one.gold is not None else one for one in documents], path)
        for _ in range(rounds):
            for name, one in artefacts.items():
                found[name].append(_run(one, path))
    for name, one in artefacts.items():
        yield name, _medians(found[name], disk=disk_size(one))


def _run(one: Artefact, texts: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-P",
        _SCRIPT,
        str(time.time()),
        one.folder,
        *one.variant[:2],
        texts,
        "2",
    ]
    done = subprocess.run(  # noqa: S603 - this Python, with words of this module
        list(map(str, command)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VerificationError(f"{str(one.folder)!r} cannot be measured with {one.variant.name}: {last}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _medians(runs: Sequence[Mapping[str, Any]], *, disk: float) -> Measured:
    singles = [1e3 * value for run in runs for value in run["singles"]]
    p50, p95 = np.quantile(singles, [0.5, 0.95])
    return Measured(
        documents_per_second=median(value for run in runs for value in run["speeds"]),
        p50=float(p50),
        p95=float(p95),
        disk=disk,
        resident=median(run["resident"] for run in runs),
        start=median(run["start"] for run in runs),
    )


def disk_size(one: Artefact) -> float:
    """Return the MB of the files of an artefact that production reads for a variant."""
    descriptor = find_backend(one.variant.backend)
    patterns = descriptor.files(one.variant.dtype)
    weights = {path for pattern in patterns for path in one.folder.glob(pattern)}
    settings = [path for path in one.folder.glob("*.json") if not path.name.endswith(_NOT_SERVED)]
    return sum(path.stat().st_size for path in {*weights, *settings}) / 1e6
