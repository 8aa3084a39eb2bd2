"""Token-budget batches: nothing over budget, nothing lost, longest rows first."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_inference.batching import token_budget_batches


@pytest.mark.parametrize(
    ("lengths", "budget", "batches"),
    [
        ([], 10, []),
        ([5], 10, [[0]]),
        ([50], 10, [[0]]),
        ([3, 9, 4, 8], 18, [[1, 3], [2, 0]]),
        ([2, 2, 2, 2], 4, [[0, 1], [2, 3]]),
        ([2, 2, 2], 1, [[0], [1], [2]]),
        ([0, 0, 3], 6, [[2, 0], [1]]),
    ],
)
def test_exact_batches(lengths, budget, batches):
    assert list(token_budget_batches(lengths, budget)) == batches


@settings(max_examples=500)
@given(lengths=st.lists(st.integers(0, 200), max_size=60), budget=st.integers(1, 1000))
def test_every_row_once_and_no_batch_over_budget_but_for_a_row_that_is(lengths, budget):
    batches = list(token_budget_batches(lengths, budget))
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget
