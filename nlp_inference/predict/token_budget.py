"""The number of tokens of a fast batch: the default of a backend, or a measurement on this machine."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal, Self

import numpy as np
from huggingface_hub import constants
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nlp_inference._utils.atomic_files import write_atomically
from nlp_inference._utils.foreign_errors import is_out_of_memory
from nlp_inference._utils.forks import native_code
from nlp_inference.document.inputs import LOOK_AHEAD_DOCUMENTS
from nlp_inference.encoding.input_rows import InputLayout, Row
from nlp_inference.errors import InvalidSpecError
from nlp_inference.predict.batching import token_budget_batches
from nlp_inference.predict.workers import Workers
from nlp_inference.processor import Processor

TokenBudget = int | Literal["measured"]
"""Tokens of a batch, padding included, or `measured` to measure a fast number."""

_CANDIDATES = tuple(256 << power for power in range(9))
_MEDIAN_LENGTH, _SPREAD_OF_LENGTHS = 40, 0.8
"""The distribution of text lengths for the measurement: log-normal, like those of emails and messages."""

_MIN_TOKENS = 4096
_ROUNDS = 3
_LONG_ROUND = 1.5
"""Seconds after which no further round of a budget starts."""

_MAX_SECONDS = 20.0
"""The time limit for all budgets except the first: a slow model is measured with fewer budgets."""

_CLEARLY_SLOWER = 0.9
_AS_FAST = 0.97
"""Share of the best rate. The smallest budget that reaches it uses the least memory and gives the most batches."""


class Measurement(BaseModel):
    """A measurement of token budgets.

    Args:
        of: the model, its backend and the machine.
        token_budget: the chosen budget.
        tokens_per_second: the rate without padding, for each budget that was tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: dict[str, str | int]
    token_budget: Annotated[int, Field(gt=0)]
    tokens_per_second: dict[int, float]

    @classmethod
    def chosen(cls, of: dict[str, str | int], rates: dict[int, float]) -> Self:
        """Choose the smallest budget that is about as fast as the fastest.

        Example:
            >>> Measurement.chosen({}, {256: 700.0, 512: 980.0, 1024: 1000.0}).token_budget
            512
        """
        fast = [budget for budget, rate in rates.items() if rate >= _AS_FAST * max(rates.values())]
        return cls(of=of, token_budget=min(fast), tokens_per_second=rates)


def choose_token_budget(requested: TokenBudget | None, processor: Processor, workers: Workers) -> int:
    """Return the number of tokens of a batch.

    Args:
        requested: a number; `None` for the default of the backend on its kind of device; or `measured`, which tries
            several numbers for some seconds and caches the result in `HF_HOME` for this model and machine. A model that
            is too slow to try two of them gets the default of the backend.
        processor: the processor whose layout builds the rows to measure with.
        workers: the workers that run these rows.

    Raises:
        InvalidSpecError: `requested` is something else.
    """
    if requested is None:
        return workers.backend.token_budget
    if requested == "measured":
        return _measured(processor, workers)
    if type(requested) is not int or requested < 1:
        raise InvalidSpecError(f"token_budget is {requested!r}, expected a positive number of tokens or 'measured'")
    return requested


def measure(layout: InputLayout, workers: Workers) -> dict[int, float]:
    """Measure tokens per second for budgets of 256, 512 and so on, until one is slower, too large, or takes too long.

    Each budget is tried on a sample of the batches of one stream chunk, so the result includes the cost of padding and
    of unequal shares of the workers, but not the gain of encoding while the model runs.

    Returns:
        The rates of the budgets that were tried; 0 if a budget ran out of memory.
    """
    rows = _rows(layout)
    rates: dict[int, float] = {}
    began = perf_counter()
    for budget in _CANDIDATES:
        batches = _sample_batches(rows, budget, workers.count)
        tokens = sum(len(row.input_ids) for batch in batches for row in batch)
        expected = tokens / rates[budget // 2] if rates else 0.0
        if rates and (len(batches) < workers.count or perf_counter() - began + expected > _MAX_SECONDS):
            break
        try:
            rates[budget] = tokens / _least_seconds(batches, layout, workers)
        except Exception as error:
            if not rates or not is_out_of_memory(error):
                raise
            rates[budget] = 0.0
        if rates[budget] < _CLEARLY_SLOWER * max(rates.values()):
            break
    return rates


def _sample_batches(rows: Sequence[Row], budget: int, workers: int) -> list[list[Row]]:
    """Return some batches of all lengths, at least two per worker if there are enough."""
    batches = list(token_budget_batches([len(row.input_ids) for row in rows], budget))
    count = min(len(batches), max(2 * workers, -(-_MIN_TOKENS // budget)))
    picked = [batches[index] for index in np.linspace(0, len(batches) - 1, count).astype(int)]
    return [[rows[position] for position in batch] for batch in picked]


def _least_seconds(batches: Sequence[Sequence[Row]], layout: InputLayout, workers: Workers) -> float:
    """Return the shortest time of several rounds, or that of the first round if it is long."""
    began = perf_counter()
    least = _seconds(batches, layout, workers)
    for _ in range(_ROUNDS - 1):
        if perf_counter() - began > _LONG_ROUND:
            break
        least = min(least, _seconds(batches, layout, workers))
    return least


def _measured(processor: Processor, workers: Workers) -> int:
    backend = workers.backend
    of: dict[str, str | int] = {
        "model": processor.digest(),
        "backend": backend.name,
        "dtype": backend.dtype,
        "runs_on": backend.runs_on,
        "threads": backend.threads,
        "workers": workers.count,
    }
    remembered = _file_of(of)
    with suppress(OSError, ValidationError):  # not measured yet, or by another version
        return Measurement.model_validate_json(remembered.read_bytes()).token_budget
    rates = measure(processor.layout, workers)
    if len(rates) == 1:  # nothing to compare with
        return backend.token_budget
    made = Measurement.chosen(of, rates)
    if processor.fingerprint is None:  # the key would not identify the weights
        return made.token_budget
    try:
        write_atomically(remembered, made.model_dump_json(indent=2) + "\n", shared=True)
    except OSError as error:
        warnings.warn(
            f"the measured token budget, {made.token_budget}, cannot be saved in {remembered.parent}: "
            f"{error.strerror}; set HF_HOME to a writable folder, or set token_budget={made.token_budget}",
            RuntimeWarning,
            stacklevel=2,
        )
    return made.token_budget


def _file_of(of: dict[str, str | int]) -> Path:
    name = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    return Path(constants.HF_HOME) / "nlp_inference" / "token_budgets" / f"{name}.json"


def _rows(layout: InputLayout) -> list[Row]:
    """Return rows with typical text lengths; their tokens do not matter for the time."""
    drawn = np.random.default_rng(0).lognormal(np.log(_MEDIAN_LENGTH), _SPREAD_OF_LENGTHS, LOOK_AHEAD_DOCUMENTS)
    lengths = np.clip(drawn, 1, layout.capacity(None)).astype(int)
    return [layout.row(np.full(length, layout.pad_token_id), None) for length in lengths]


def _seconds(batches: Sequence[Sequence[Row]], layout: InputLayout, workers: Workers) -> float:
    def run(rows: Sequence[Row]) -> None:
        with native_code():
            workers.backend.forward(layout.pad(rows))

    started = perf_counter()
    for _ in workers.map(run, batches):
        pass
    return perf_counter() - started
