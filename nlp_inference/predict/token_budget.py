"""How many tokens make a batch that runs fast: a backend's usual number, or what was measured on this machine."""

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

from nlp_inference._utils.atomic_files import write_whole
from nlp_inference._utils.foreign_errors import is_out_of_memory
from nlp_inference._utils.forks import native_code
from nlp_inference.document.inputs import LOOK_AHEAD_DOCUMENTS
from nlp_inference.encoding.input_rows import InputLayout, Row
from nlp_inference.errors import InvalidSpecError
from nlp_inference.predict.batching import token_budget_batches
from nlp_inference.predict.workers import Workers
from nlp_inference.processor import Processor

TokenBudget = int | Literal["measured"]
"""Tokens of a batch, padding included, or the word that has them measured."""

_CANDIDATES = tuple(256 << power for power in range(9))
_MEDIAN_LENGTH, _SPREAD_OF_LENGTHS = 40, 0.8
"""Of the texts to measure with, whose lengths are log-normal, as those of mails and messages are."""

_LEAST_TOKENS = 4096
_ROUNDS = 3
_LONG_ROUND = 1.5
"""Seconds of the rounds of a budget after which there is no other."""

_MOST_SECONDS = 20.0
"""Of all budgets but the first: a model that is slow is measured with fewer of them."""

_CLEARLY_SLOWER = 0.9
_AS_FAST = 0.97
"""Of the best rate: the smallest budget that reaches it leaves the most memory, and the most batches to share out."""


class Measurement(BaseModel):
    """What was measured, and of what.

    Args:
        of: the model, what runs it, and on what.
        token_budget: that was chosen.
        tokens_per_second: without padding, for each budget that was tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: dict[str, str | int]
    token_budget: Annotated[int, Field(gt=0)]
    tokens_per_second: dict[int, float]

    @classmethod
    def chosen(cls, of: dict[str, str | int], rates: dict[int, float]) -> Self:
        """The smallest budget that is as fast as any.

        Example:
            >>> Measurement.chosen({}, {256: 700.0, 512: 980.0, 1024: 1000.0}).token_budget
            512
        """
        fast = [budget for budget, rate in rates.items() if rate >= _AS_FAST * max(rates.values())]
        return cls(of=of, token_budget=min(fast), tokens_per_second=rates)


def choose_token_budget(asked: TokenBudget | None, processor: Processor, workers: Workers) -> int:
    """The tokens of a batch that were asked for, or that run fast.

    Args:
        asked: a number; `None`, which is what the backend knows to be fast on its kind of device; or `measured`, which
            tries several for some seconds and remembers the result, in `HF_HOME`, for this model on this machine. A
            model that is too slow to try two has the backend's.
        processor: its layout builds the rows to measure with.
        workers: run them, as they run those of texts.

    Raises:
        InvalidSpecError: it is none of these.
    """
    if asked is None:
        return workers.backend.token_budget
    if asked == "measured":
        return _measured(processor, workers)
    if type(asked) is not int or asked < 1:
        raise InvalidSpecError(f"token_budget is {asked!r}; write a number of tokens from 1 on, or 'measured'")
    return asked


def measure(layout: InputLayout, workers: Workers) -> dict[int, float]:
    """Tokens a second for budgets of 256, 512 and so on, until they are clearly slower, too large, or take too long.

    Each is tried on batches that stand for those of as many texts as share batches in a stream, so that what larger
    batches lose by padding and by unequal shares of the workers is in it; what encoding beside the model gains is not.

    Returns:
        Those that were tried; 0 for one that the memory does not hold.
    """
    rows = _rows(layout)
    rates: dict[int, float] = {}
    began = perf_counter()
    for budget in _CANDIDATES:
        batches = _like_those_of_a_stream(rows, budget, workers.count)
        tokens = sum(len(row.input_ids) for batch in batches for row in batch)
        expected = tokens / rates[budget // 2] if rates else 0.0
        if rates and (len(batches) < workers.count or perf_counter() - began + expected > _MOST_SECONDS):
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


def _like_those_of_a_stream(rows: Sequence[Row], budget: int, workers: int) -> list[list[Row]]:
    """Some batches of all lengths, at least two for each worker if there are so many."""
    batches = list(token_budget_batches([len(row.input_ids) for row in rows], budget))
    count = min(len(batches), max(2 * workers, -(-_LEAST_TOKENS // budget)))
    picked = [batches[place] for place in np.linspace(0, len(batches) - 1, count).astype(int)]
    return [[rows[position] for position in batch] for batch in picked]


def _least_seconds(batches: Sequence[Sequence[Row]], layout: InputLayout, workers: Workers) -> float:
    """Of some rounds, or of the first one if it is long enough to trust it."""
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
    with suppress(OSError, ValidationError):  # not measured yet, or not by this version
        return Measurement.model_validate_json(remembered.read_bytes()).token_budget
    rates = measure(processor.layout, workers)
    if len(rates) == 1:  # compared with nothing
        return backend.token_budget
    made = Measurement.chosen(of, rates)
    if processor.fingerprint is None:  # nobody could tell its weights from others of the same settings
        return made.token_budget
    try:
        write_whole(remembered, made.model_dump_json(indent=2) + "\n", shared=True)
    except OSError as error:
        warnings.warn(
            f"the token budget that was measured, {made.token_budget}, cannot be remembered in {remembered.parent}: "
            f"{error.strerror}; set HF_HOME to a folder that can be written, or give token_budget={made.token_budget}",
            RuntimeWarning,
            stacklevel=2,
        )
    return made.token_budget


def _file_of(of: dict[str, str | int]) -> Path:
    name = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    return Path(constants.HF_HOME) / "nlp_inference" / "token_budgets" / f"{name}.json"


def _rows(layout: InputLayout) -> list[Row]:
    """Rows of texts as long as those of a stream; which tokens they hold is all the same to the time they take."""
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
