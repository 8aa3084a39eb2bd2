"""The tokens of a batch are a number, the backend's own, or what was measured on this machine and is remembered."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nlp_inference import Document, Predictor, Processor, golden
from nlp_inference.errors import InvalidSpecError
from nlp_inference.predict.token_budget import Measurement, measure
from nlp_inference.predict.workers import Workers
from nlp_inference.processor.fingerprint import Fingerprint


class Clock:
    """A backend whose batches take the seconds that it is told to, on a clock of its own."""

    name, dtype, runs_on, threads, token_budget = "clock", "float32", "an imagined CPU, clock 1.0", 1, 1024

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.now = 0.0
        self.tokens: list[int] = []
        self._seconds = seconds

    def forward(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.tokens.append(batch["input_ids"].size)
        self.now += self._seconds(batch["input_ids"].size)
        return {}


def quick(tokens: int) -> float:
    """A millisecond for each batch, and a hundredth for each token; large batches fall out of the cache."""
    return 0.001 + 0.00001 * tokens + 0.0002 * max(0, tokens - 4096)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    backend = Clock(quick)
    monkeypatch.setattr("nlp_inference.predict.token_budget.perf_counter", lambda: backend.now)
    monkeypatch.setattr("nlp_inference.predict.token_budget.constants.HF_HOME", str(tmp_path / "home"))
    return backend


@pytest.fixture
def processor(token_processor: Processor) -> Processor:
    """One that was saved with weights."""
    return token_processor.with_fingerprint(Fingerprint(unicode="15.0", weights={"model.safetensors": "0" * 64}))


def test_it_goes_up_until_a_budget_is_clearly_slower(clock: Clock, processor: Processor) -> None:
    with Workers(clock) as workers:
        rates = measure(processor.layout, workers)
    *faster, slower = rates.items()
    assert [budget for budget, _ in faster] == [256 << power for power in range(len(faster))]
    assert slower[1] < 0.9 * max(rate for _, rate in faster)
    assert max(clock.tokens) > 4096
    assert Measurement.chosen({}, rates).token_budget == 4096


def test_the_smallest_that_is_as_fast_is_chosen() -> None:
    rates = {256: 90.0, 512: 98.0, 1024: 100.0, 2048: 99.0}
    assert Measurement.chosen({}, rates).token_budget == 512


def test_what_the_memory_does_not_hold_is_not_chosen(clock: Clock, processor: Processor) -> None:
    def small_memory(tokens: int) -> float:
        if tokens > 1100:
            raise RuntimeError("CUDA out of memory")
        return quick(tokens)

    clock._seconds = small_memory
    assert Predictor(processor, clock, token_budget="measured").token_budget == 1024


def test_a_model_that_fails_is_told_of(clock: Clock, processor: Processor) -> None:
    def broken(tokens: int) -> float:
        raise RuntimeError(f"no kernel for {tokens > 0}")

    clock._seconds = broken
    with pytest.raises(RuntimeError, match="no kernel for True"):
        Predictor(processor, clock, token_budget="measured")


def test_a_slow_model_is_not_measured_for_minutes(clock: Clock, processor: Processor) -> None:
    clock._seconds = lambda tokens: 0.1 + 0.001 * tokens
    with Workers(clock) as workers:
        rates = measure(processor.layout, workers)
    assert list(rates) == [256, 512, 1024, 2048, 4096]
    assert clock.now < 25


def test_a_model_too_slow_to_compare_two_budgets_keeps_the_usual_one(
    clock: Clock, processor: Processor, tmp_path: Path
) -> None:
    clock._seconds = lambda tokens: 0.02 * tokens
    assert Predictor(processor, clock, token_budget="measured").token_budget == 1024
    assert clock.now < 100
    assert not (tmp_path / "home").exists()


def test_many_workers_have_the_smallest_measured(clock: Clock, processor: Processor) -> None:
    clock.threads = 400
    clock.use_threads = lambda _count: None  # type: ignore[attr-defined]
    assert Predictor(processor, clock, workers=400, token_budget="measured").token_budget == 1024


@pytest.mark.parametrize("made_from", ["verify", "another processor"])
def test_what_is_made_from_a_predictor_has_its_batches(
    made_from: str, saved_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.from_pretrained(saved_model, token_budget=50, workers=1)
    sizes: list[int] = []
    forward = predictor.backend.forward
    monkeypatch.setattr(
        predictor.backend,
        "forward",
        lambda batch: (len(batch["input_ids"]) > 1 and sizes.append(batch["input_ids"].size)) or forward(batch),
    )
    if made_from == "verify":
        texts = [Document(raw_text="Ana lives in Rome", id=str(number)) for number in range(40)]
        golden.verify(predictor, golden.record_golden(predictor, {"file": texts})).require_ok(saved_model)
    else:
        predictor.with_processor(predictor.processor).predict(["Ana lives in Rome"] * 40)
    assert sizes
    assert max(sizes) <= 50


def test_a_budget_leaves_no_worker_without_a_batch(clock: Clock, processor: Processor) -> None:
    clock._seconds = lambda tokens: 0.00001 * tokens
    with Workers(clock) as workers:
        rates = measure(processor.layout, workers)
    assert list(rates) == [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]
    clock.threads = 4
    clock.use_threads = lambda _count: None  # type: ignore[attr-defined]
    with Workers(clock) as workers:
        rates = measure(processor.layout, workers)
    assert max(rates) == 16384  # larger batches would be fewer than four


def test_it_is_measured_once_for_a_model_on_a_machine(clock: Clock, processor: Processor, tmp_path: Path) -> None:
    assert Predictor(processor, clock, token_budget="measured").token_budget == 4096
    [remembered] = (tmp_path / "home" / "nlp_inference" / "token_budgets").iterdir()
    assert Measurement.model_validate_json(remembered.read_bytes()).of["runs_on"] == "an imagined CPU, clock 1.0"
    asked = len(clock.tokens)
    assert Predictor(processor, clock, token_budget="measured").token_budget == 4096
    assert len(clock.tokens) == asked
    remembered.write_text('{"torn')
    assert Predictor(processor, clock, token_budget="measured").token_budget == 4096
    assert len(clock.tokens) == 2 * asked
    clock.dtype = "bfloat16"
    Predictor(processor, clock, token_budget="measured")
    assert len(clock.tokens) == 3 * asked


def test_a_model_without_a_fingerprint_is_measured_each_time(
    clock: Clock, token_processor: Processor, tmp_path: Path
) -> None:
    assert Predictor(token_processor, clock, token_budget="measured").token_budget == 4096
    assert not (tmp_path / "home").exists()


def test_a_home_that_cannot_be_written_is_told_of(clock: Clock, processor: Processor, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.warns(RuntimeWarning, match="4096, cannot be saved in .*: Not a directory; set HF_HOME to a writable"):
        assert Predictor(processor, clock, token_budget="measured").token_budget == 4096


@pytest.mark.parametrize("wrong", [0, -1, True, 2.5, "fast"])
def test_anything_else_is_an_error(clock: Clock, processor: Processor, wrong: object) -> None:
    with pytest.raises(InvalidSpecError, match="expected a positive number of tokens or 'measured'"):
        Predictor(processor, clock, token_budget=wrong)  # type: ignore[arg-type]


def test_without_one_the_backend_says(clock: Clock, processor: Processor) -> None:
    assert Predictor(processor, clock).token_budget == 1024
    assert clock.tokens == []


def test_batches_hold_what_was_asked_for(saved_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.from_pretrained(saved_model, token_budget=30)
    sizes: list[int] = []
    forward = predictor.backend.forward
    monkeypatch.setattr(
        predictor.backend, "forward", lambda batch: sizes.append(batch["input_ids"].size) or forward(batch)
    )
    predictor.predict(["Ana lives in Rome"] * 20)
    assert len(sizes) > 1
    assert max(sizes) <= 30


@pytest.mark.extra
def test_a_real_model_is_measured_in_seconds(
    saved_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nlp_inference.predict.token_budget.constants.HF_HOME", str(tmp_path))
    began = time.perf_counter()
    with Predictor.from_pretrained(saved_model, token_budget="measured") as predictor:
        assert predictor.token_budget in {256 << power for power in range(9)}
        assert predictor.predict(["Ana lives in Rome"])[0].coverage.complete
    assert time.perf_counter() - began < 60
