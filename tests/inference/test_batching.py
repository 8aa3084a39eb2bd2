"""Token-budget batches: nothing over budget, nothing lost, longest rows first."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.predict.batching import token_budget_batches


@pytest.mark.parametrize(
    ("lengths", "budget", "batch_cost", "batches"),
    [
        ([], 10, 5, []),
        ([5], 10, 5, [[0]]),
        ([50], 10, 5, [[0]]),
        ([3, 9, 4, 8], 18, 5, [[1, 3], [2, 0]]),
        ([3, 9, 4, 8], 18, 0, [[1], [3], [2], [0]]),  # no token of padding
        ([3, 9, 4, 8], 100, 5, [[1, 3], [2, 0]]),  # 8 padded to 9 is cheaper than a batch, 4 padded to 9 is not
        ([3, 9, 4, 8], 100, 50, [[1, 3, 2, 0]]),
        ([2, 2, 2, 2], 4, 1, [[0, 1], [2, 3]]),
        ([2, 2, 2], 1, 1, [[0], [1], [2]]),
        ([2, 2, 2], 100, 0, [[0, 1, 2]]),
        ([2, 2, 2], 100, None, [[0, 1, 2]]),
        ([1, 65], 6400, None, [[1, 0]]),
        ([1, 102], 6400, None, [[1], [0]]),
    ],
)
def test_exact_batches(lengths, budget, batch_cost, batches):
    assert list(token_budget_batches(lengths, budget, batch_cost=batch_cost)) == batches


def every_cut(count):
    """Every way to cut a row of things into pieces, as the sizes of the pieces."""
    if not count:
        yield ()
    for size in range(1, count + 1):
        for rest in every_cut(count - size):
            yield (size, *rest)


@settings(max_examples=examples(200))
@given(lengths=st.lists(st.integers(0, 40), max_size=8), budget=st.integers(1, 200), batch_cost=st.integers(0, 50))
def test_no_other_way_to_cut_costs_less(lengths, budget, batch_cost):
    rows = sorted(lengths, reverse=True)

    def cost(sizes):
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        tokens = [rows[start] * size for start, size in zip(starts, sizes, strict=True)]
        allowed = all(one <= budget or size == 1 for one, size in zip(tokens, sizes, strict=True))
        return sum(tokens) + batch_cost * len(sizes) if allowed else float("inf")

    chosen = [len(batch) for batch in token_budget_batches(lengths, budget, batch_cost=batch_cost)]
    assert cost(chosen) == min(map(cost, every_cut(len(rows))))


@settings(max_examples=examples(500))
@given(lengths=st.lists(st.integers(0, 200), max_size=60), budget=st.integers(1, 1000))
def test_every_row_once_and_no_batch_over_budget_but_for_a_row_that_is(lengths, budget):
    batches = list(token_budget_batches(lengths, budget))
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget
