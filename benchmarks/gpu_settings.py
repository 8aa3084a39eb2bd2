"""What benchmarks/gpu.py measures, in full and in the reduced form, and its clock."""

import time
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]
"""A row of a table: cells by heading; the heading of the name is empty, and `note` says why there is no figure."""


class Shape(NamedTuple):
    """The size of an encoder."""

    layers: int
    hidden: int
    heads: int
    intermediate: int


class Settings(NamedTuple):
    """The amount of work.

    Attributes:
        shape: the encoder that predicts; its weights are random, and its bias prefers no span.
        documents: texts of a round, 49 words on average.
        rounds: rounds, of which the median counts.
        calls: single texts for the latency.
        batch_sizes: those of `transformers.pipeline`.
        budgets: tokens of a batch of `Predictor`, in addition to the default.
        matrix: rows of the matrices whose product gives the peak.
        compile: whether torch.compile is measured.
        train_sizes: documents of each split.
        epochs: of the trainings that are compared.
        device: such as `cuda`.
        reduced: whether this is the reduced form.
        model: a trained model; `None` for the one of the section `train`.
    """

    shape: Shape
    documents: int
    rounds: int
    calls: int
    batch_sizes: tuple[int, ...]
    budgets: tuple[int, ...]
    matrix: int
    compile: bool
    train_sizes: dict[str, int]
    epochs: float
    device: str = "cuda"
    reduced: bool = False
    model: Path | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")


FULL = Settings(
    shape=Shape(12, 768, 12, 3072),
    documents=4096,
    rounds=3,
    calls=200,
    batch_sizes=(1, 8, 32, 128, 512),
    budgets=(8192, 131072),
    matrix=8192,
    compile=True,
    train_sizes={"train": 1200, "test": 300},
    epochs=3,
)
REDUCED = Settings(
    shape=Shape(1, 32, 2, 64),
    documents=24,
    rounds=1,
    calls=4,
    batch_sizes=(1, 8),
    budgets=(256,),
    matrix=64,
    compile=False,
    train_sizes={"train": 24, "test": 12},
    epochs=1,
    reduced=True,
)


class Clock:
    """The time that is left.

    Args:
        seconds: the time limit.

    Example:
        >>> Clock(60).has(10), Clock(5).has(10)
        (True, False)
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def has(self, seconds: float) -> bool:
        """Return whether this much time is left."""
        return time.monotonic() + seconds < self._until


def failure(name: str, error: Exception) -> Row:
    """Return the row of a measurement that failed, with the first line of the error."""
    line = (str(error).strip().splitlines() or [""])[0]
    return {"": name, "note": f"failed: {type(error).__name__}: {line[:160]}".replace("|", "/")}


def no_time(name: str) -> Row:
    """Return the row of a measurement for which no time was left."""
    return {"": name, "note": "not measured: no time left"}
