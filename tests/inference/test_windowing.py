"""Windows: where they are cut, which token they answer for, and how their outputs are joined."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.encoding.windows import Window, WindowSettings, split_windows, stitch
from nlp_inference.errors import InvalidSpecError

TABLE = [
    # tokens, word starts, capacity, overlap, windows
    (0, [], 4, 0, [(0, 0, 0, 0)]),
    (4, range(4), 4, 2, [(0, 4, 0, 4)]),
    (5, range(5), 4, 0, [(0, 4, 0, 4), (4, 5, 4, 5)]),
    (10, range(10), 6, 2, [(0, 6, 0, 5), (4, 10, 5, 10)]),
    (10, range(10), 6, 3, [(0, 6, 0, 5), (3, 9, 5, 8), (6, 10, 8, 10)]),
    (8, [0, 3, 6], 5, 0, [(0, 3, 0, 3), (3, 8, 3, 8)]),
    (9, [0], 4, 0, [(0, 4, 0, 4), (4, 8, 4, 8), (8, 9, 8, 9)]),
    (9, [0, 2, 4, 6, 8], 6, 2, [(0, 6, 0, 4), (4, 9, 4, 9)]),
    (6, [0, 2, 5], 5, 1, [(0, 5, 0, 5), (4, 6, 5, 6)]),
]


@pytest.mark.parametrize(("length", "word_starts", "capacity", "overlap", "windows"), TABLE)
def test_exact_windows(length, word_starts, capacity, overlap, windows):
    found = split_windows(length, list(word_starts), capacity=capacity, overlap=overlap)
    assert found == [Window(*window) for window in windows]


@pytest.mark.parametrize(("capacity", "overlap"), [(0, 0), (-3, 0), (1, 1), (9, 5), (10, 6)])
def test_windows_that_cannot_be_are_refused(capacity, overlap):
    with pytest.raises(InvalidSpecError, match=f"room for {capacity} tokens, but the overlap is {overlap}"):
        split_windows(3, [0, 1, 2], capacity=capacity, overlap=overlap)


@pytest.mark.parametrize("wrong", [{"max_length": 0}, {"overlap": -1}, {"on_overflow": "drop"}, {"stride": 3}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WindowSettings(**wrong)


@st.composite
def cuts(draw, *, whole_words=False):
    length = draw(st.integers(0, 120))
    capacity = draw(st.integers(1, 30))
    overlap = draw(st.integers(0, capacity // 2))
    starts = list(range(length)) if whole_words else sorted({0, *draw(st.sets(st.integers(0, max(0, length - 1))))})
    return length, starts if length else [], capacity, overlap


@settings(max_examples=examples(1000))
@given(cuts())
def test_the_owned_tokens_partition_the_text(case):
    length, starts, capacity, overlap = case
    windows = split_windows(length, starts, capacity=capacity, overlap=overlap)
    assert (windows[0].owned_start, windows[-1].owned_end) == (0, length)
    assert all(one.owned_end == other.owned_start for one, other in pairwise(windows))
    for window in windows:
        assert window.start <= window.owned_start <= window.owned_end <= window.end <= window.start + capacity
    for one, other in pairwise(windows):
        assert one.start < other.start
        assert overlap <= one.end - other.start <= max(overlap, capacity // 2)


@settings(max_examples=examples(500))
@given(cuts())
def test_cuts_stand_at_the_starts_of_words_that_are_no_longer_than_the_overlap_allows(case):
    length, starts, capacity, overlap = case
    bounds = [*starts, length]
    longest = max((after - start for start, after in pairwise(bounds)), default=0)
    windows = split_windows(length, starts, capacity=capacity, overlap=overlap)
    if 2 * longest + overlap <= capacity // 2:
        for one, other in pairwise(windows):
            assert one.end in bounds
            assert other.start in bounds
            assert one.owned_end in bounds


@settings(max_examples=examples(1000))
@given(cuts(whole_words=True))
def test_a_token_belongs_to_the_window_in_which_it_is_farthest_from_an_edge(case):
    length, starts, capacity, overlap = case
    windows = split_windows(length, starts, capacity=capacity, overlap=overlap)

    def distance(token, window):
        left = token - window.start if window.start else length
        right = window.end - 1 - token if window.end < length else length
        return min(left, right)

    for window in windows:
        for token in range(window.owned_start, window.owned_end):
            others = [other for other in windows if other.start <= token < other.end]
            assert distance(token, window) == max(distance(token, other) for other in others)


def test_each_row_comes_from_the_window_that_owns_the_token():
    windows = [Window(0, 3, 0, 2), Window(1, 4, 2, 4)]
    outputs = [np.array([[0], [1], [2]], dtype=np.float32), np.array([[11], [12], [13]], dtype=np.float32)]
    assert stitch(windows, outputs).tolist() == [[0], [1], [12], [13]]
    assert stitch([Window(0, 3, 0, 3)], outputs[:1]) is outputs[0]


@settings(max_examples=examples(300))
@given(cuts())
def test_joining_what_each_window_says_of_its_tokens_gives_every_token_once(case):
    length, starts, capacity, overlap = case
    windows = split_windows(length, starts, capacity=capacity, overlap=overlap)
    outputs = [np.arange(window.start, window.end, dtype=np.float32)[:, None] for window in windows]
    assert stitch(windows, outputs)[:, 0].tolist() == list(range(length))
