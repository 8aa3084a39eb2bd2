"""Linear chains: the best sequence and the certainty of its tags are those of all sequences, counted one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.tasks.linear_chain import tag_chains

FREE = np.zeros(3)


def arrays(*shape):
    size = int(np.prod(shape))
    return st.lists(st.integers(-24, 24), min_size=size, max_size=size).map(
        lambda numbers: np.array(numbers, dtype=np.float32).reshape(shape) / 4
    )


@st.composite
def chain(draw, tags=3, most=5):
    """Scores of each tag at each step, of each move, and at both ends; two moves and one end are forbidden."""
    scores, moves = draw(arrays(draw(st.integers(1, most)), tags)), draw(arrays(tags, tags))
    moves[0, 1] = moves[2, 0] = -np.inf
    return scores, moves


ENDS = np.array([0, 0, -np.inf])


def counted(scores, moves, starts, ends):
    """The best sequence, its score, and the probability of each tag at each step."""
    steps, tags = scores.shape
    every = np.array(list(product(range(tags), repeat=steps)))
    totals = scores[np.arange(steps), every].sum(axis=1) + starts[every[:, 0]] + ends[every[:, -1]]
    totals += moves[every[:, :-1], every[:, 1:]].sum(axis=1)
    shares = np.exp(totals - totals.max())
    shares /= shares.sum()
    certain = [[shares[every[:, step] == tag].sum() for tag in range(tags)] for step in range(steps)]
    return totals, every, np.array(certain)


@settings(max_examples=examples(400))
@given(chain())
def test_no_sequence_scores_higher_and_probabilities_are_those_of_all_sequences(one):
    scores, moves = one
    [(tags, certain)] = tag_chains([scores], [moves], starts=FREE, ends=ENDS)
    totals, every, shares = counted(scores, moves, FREE, ENDS)
    assert totals[(every == tags).all(axis=1)][0] == pytest.approx(totals.max())
    np.testing.assert_allclose(certain, shares[np.arange(len(tags)), tags], rtol=1e-9)


@settings(max_examples=examples(200))
@given(st.lists(chain(most=9), min_size=1, max_size=5))
def test_chains_do_not_change_each_other_by_a_bit(chains):
    together = tag_chains(*map(list, zip(*chains, strict=True)), starts=FREE, ends=ENDS)
    for (scores, moves), (tags, certain) in zip(chains, together, strict=True):
        [(tags_alone, certain_alone)] = tag_chains([scores], [moves], starts=FREE, ends=ENDS)
        assert tags.tolist() == tags_alone.tolist()
        assert certain.tobytes() == certain_alone.tobytes()


def test_a_long_chain_stays_in_range():
    scores = np.tile(np.array([[9, -9, 0]], dtype=np.float32), (5_000, 1))
    [(tags, certain)] = tag_chains([scores], [np.zeros((3, 3))], starts=FREE, ends=FREE)
    assert tags.tolist() == [0] * 5_000
    np.testing.assert_allclose(certain, 1 / (1 + np.exp(-9) + np.exp(-18)), rtol=1e-9)


def test_scores_that_differ_by_thousands_are_no_numbers_out_of_range():
    scores = np.array([[4_000, 0, 0], [0, 4_000, 0]], dtype=np.float32)
    moves = np.zeros((3, 3))
    moves[0, 1] = -np.inf  # the best two may not follow each other
    [(tags, certain)] = tag_chains([scores], [moves], starts=FREE, ends=FREE)
    assert tags.tolist() in ([0, 0], [0, 2], [1, 1], [2, 1])
    assert np.isfinite(certain).all()
