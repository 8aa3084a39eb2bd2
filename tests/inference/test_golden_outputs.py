"""What golden records keep of a model's outputs, and that no number of an ordinary output moves unseen."""

from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nlp_inference.golden.compare import first_difference
from nlp_inference.golden.outputs import (
    KEPT_NUMBERS,
    NumberBudget,
    as_recorded,
    fixed_weights,
    full_output,
    numbers_of,
    summed,
)
from nlp_inference.golden.schema import GoldenRecord, Output
from nlp_inference.golden.tolerance import Tolerance, tolerance_of

Logits = NDArray[np.float32]

FLOAT32 = tolerance_of("torch", "float32")
TOKENS, LABELS = 512, 9


def _logits(tokens: int = TOKENS, labels: int = LABELS) -> Logits:
    """From -13 to 10, each different from its neighbours."""
    waves = np.sin(np.arange(tokens * labels, dtype=np.float64) ** 1.5)
    return (11.5 * waves - 1.5).reshape(tokens, labels).astype(np.float32)


def _record(*outputs: Output) -> GoldenRecord:
    return GoldenRecord(id="a", origin="file", raw_text="", logits=tuple({"logits": output} for output in outputs))


def _difference(recorded: Output, now: Logits, tolerance: Tolerance = FLOAT32) -> str | None:
    """Where what there is now differs from what was recorded, as `verify` finds it."""
    expected = _record(recorded)
    actual = as_recorded(_record(full_output(now)), expected)
    found = first_difference(expected, actual, tolerance)
    assert found is None or found.stage == "logits"
    return found and found.where


WHOLE = full_output(_logits())


def test_every_value_of_an_ordinary_output_is_kept() -> None:
    kept = NumberBudget().fit_output(WHOLE)
    assert kept is WHOLE
    assert numbers_of(kept).tolist() == _logits().ravel().tolist()


@given(token=st.integers(0, TOKENS - 1), label=st.integers(0, LABELS - 1), up=st.booleans(), far=st.floats(1.01, 1e6))
def test_one_logit_anywhere_that_moves_beyond_the_tolerance_is_seen(
    token: int, label: int, up: bool, far: float
) -> None:
    allowed = FLOAT32.absolute + FLOAT32.relative * abs(float(_logits()[token, label]))
    for share, seen in ((far, f"window 0, logits, value [{token}, {label}]"), (0.99, None)):
        moved = _logits()
        moved[token, label] += share * allowed if up else -share * allowed
        assert _difference(WHOLE, moved) == seen


def _swap_best_two_labels_of_a_late_token(logits: Logits) -> Logits:
    second, best = np.argsort(logits[400])[-2:]
    logits[400, [best, second]] = logits[400, [second, best]]
    return logits


def _reverse_tokens_of_every_part(logits: Logits) -> Logits:
    return np.concatenate([part[::-1] for part in np.array_split(logits, 64)])


def _swap_two_late_tokens(logits: Logits) -> Logits:
    logits[[300, 301]] = logits[[301, 300]]
    return logits


PERMUTATIONS = {
    "the best two labels of a late token": _swap_best_two_labels_of_a_late_token,
    "tokens in reverse, in every 64th": _reverse_tokens_of_every_part,
    "all tokens in reverse": lambda logits: logits[::-1],
    "two late tokens": _swap_two_late_tokens,
    "the signs of the last token": lambda logits: np.concatenate([logits[:-1], -logits[-1:]]),
}
"""Changes that no norm shows."""


@pytest.mark.parametrize("stretch", [1, 2, 5, 32])
@pytest.mark.parametrize("name", PERMUTATIONS)
def test_values_that_change_places_or_signs_are_seen_in_values_and_in_sums(name: str, stretch: int) -> None:
    assert _difference(summed(WHOLE, stretch=stretch), PERMUTATIONS[name](_logits())) is not None


@pytest.mark.parametrize("stretch", [2, 3, 5, 32, 400])
def test_in_a_sum_a_logit_shows_that_moves_by_the_bound_and_small_changes_of_all_of_them_do_not(stretch: int) -> None:
    recorded = summed(WHOLE, stretch=stretch)
    bound = 2 * stretch**0.5 * (FLOAT32.absolute + FLOAT32.relative * recorded.largest)
    for place in (0, 64, 2000, TOKENS * LABELS - 1):
        moved = _logits()
        moved.ravel()[place] += 1.01 * bound
        first = place - place % stretch
        start = [int(at) for at in np.unravel_index(first, moved.shape)]
        assert (_difference(recorded, moved) or "").startswith(f"window 0, logits, values {start} to ")
    everywhere = _logits() + np.float32(FLOAT32.absolute) * np.cos(np.arange(TOKENS * LABELS)).reshape(TOKENS, LABELS)
    assert _difference(recorded, everywhere.astype(np.float32)) is None


def test_the_last_stretch_may_be_shorter_and_is_named_by_its_ends() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], dtype=np.float32)
    recorded = summed(full_output(values), stretch=3)
    assert len(numbers_of(recorded)) == 3
    values[3, 1] = 80.0
    assert _difference(recorded, values) == "window 0, logits, values [3, 0] to [3, 1], weighted sum"


def test_the_weights_are_those_of_splitmix64() -> None:
    """The reference implementation begins, with the seed 0, with 0xe220a8397b1dcdaf and 0x6e789e6aa1b965f4."""
    expected = [1 + (0xE220A8397B1DCDAF >> 12) / 2**52, -1 - (0x6E789E6AA1B965F4 >> 12) / 2**52]
    assert fixed_weights(2).tolist() == expected
    weights = fixed_weights(4096)
    assert len(set(weights.tolist())) == 4096
    assert abs(np.sign(weights).mean()) < 0.05
    assert (np.abs(weights) >= 1).all()
    assert (np.abs(weights) < 2).all()


@pytest.mark.parametrize(
    ("tokens", "labels", "stretch"), [(1, 1, 1), (512, 9, 1), (512, 64, 1), (512, 65, 2), (512, 30522, 477)]
)
def test_an_output_is_kept_whole_up_to_512_tokens_of_64_labels(tokens: int, labels: int, stretch: int) -> None:
    output = full_output(np.zeros((tokens, labels), dtype=np.float32))
    assert NumberBudget().fit_output(output).stretch == stretch


def test_however_many_outputs_there_are_one_file_can_hold_them() -> None:
    allowance, output = NumberBudget(), full_output(np.zeros((512, 64), dtype=np.float32))
    kept = [allowance.fit_output(output) for _ in range(400)]
    numbers = [len(numbers_of(one)) for one in kept]
    assert KEPT_NUMBERS - allowance.left == sum(numbers) < KEPT_NUMBERS + len(kept)
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] > 0


def test_a_record_is_kept_with_all_its_windows_and_one_that_failed_has_none() -> None:
    allowance = NumberBudget(left=64)
    kept = allowance.fit_record(_record(full_output(np.ones(2)), full_output(np.ones(6))))
    assert [window["logits"].stretch for window in kept.logits or ()] == [1, 6]
    failed = GoldenRecord(id="a", origin="file", raw_text="")
    assert allowance.fit_record(failed) is failed


def test_what_has_the_same_bits_is_as_it_was_recorded_also_in_sums() -> None:
    recorded = _record(summed(WHOLE, stretch=7), WHOLE)
    assert as_recorded(_record(WHOLE, WHOLE), recorded) == recorded


@pytest.mark.parametrize("windows", [0, 1, 3])
def test_another_number_of_windows_is_told(windows: int) -> None:
    recorded = _record(WHOLE, WHOLE)
    actual = as_recorded(_record(*[WHOLE] * windows), recorded)
    found = first_difference(recorded, actual, FLOAT32)
    assert found is not None
    assert (found.where, found.expected, found.actual) == ("number of windows", 2, windows)


def test_another_output_or_another_shape_is_told() -> None:
    found = _difference(WHOLE, _logits(tokens=511))
    assert found == "window 0, logits, shape"
    one = _record(WHOLE)
    other = one.model_copy(update={"logits": ({"emissions": WHOLE},)})
    difference = first_difference(one, as_recorded(other, one), FLOAT32)
    assert difference is not None
    assert difference.where == "window 0, names of the outputs"


def test_a_difference_in_logits_is_json_with_both_values_and_the_whole_stage() -> None:
    moved = _logits()
    moved[400, 3], moved[400, 4] = np.nan, np.inf
    expected, actual = _record(WHOLE), _record(full_output(moved))
    found: Any = first_difference(expected, actual, FLOAT32)
    said = found.model_validate_json(found.model_dump_json())
    assert said.where == "window 0, logits, value [400, 3]"
    assert said.expected == pytest.approx(float(_logits()[400, 3]), rel=1e-6)
    assert said.actual == "nan"
    [window] = said.expected_stage
    assert b64decode(window["logits"]["numbers"], altchars=b"-_") == WHOLE.numbers


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "bool"])
def test_an_output_of_any_kind_is_compared(dtype: str) -> None:
    one = np.array([0, 1, 1], dtype=dtype)
    other = np.array([0, 1, 0], dtype=dtype)
    assert _difference(full_output(one), one) is None
    assert _difference(full_output(one), other) == "window 0, logits, value [2]"


def test_whole_numbers_that_single_precision_cannot_tell_apart_differ_by_their_digest() -> None:
    one, other = (np.array([2**40 + more]) for more in (0, 1))
    assert _difference(full_output(one), other) == "window 0, logits, digest"
