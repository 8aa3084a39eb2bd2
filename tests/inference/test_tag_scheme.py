"""Tag schemes: exact tables of tags and spans, and the best valid sequence against all sequences there are."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.tasks.tag_scheme import TagScheme
from nlp_inference.tasks.viterbi import best_valid_tags

TAGS = {
    "IO": "O I-X I-Y",
    "IOB1": "O B-X I-X B-Y I-Y",
    "BIO": "O B-X I-X B-Y I-Y",
    "BILOU": "O B-X I-X L-X U-X B-Y I-Y L-Y U-Y",
    "BIOES": "O B-X I-X E-X S-X B-Y I-Y E-Y S-Y",
}
schemes = pytest.mark.parametrize("name", TAGS)


def scheme_of(name):
    return TagScheme(name, ["X", "Y"])


def ids_of(scheme, tags):
    return np.array([scheme.tags.index(tag) for tag in tags.split()], dtype=np.int64)


@schemes
def test_the_tags_of_two_labels(name):
    assert " ".join(scheme_of(name).tags) == TAGS[name]


BOTH_WAYS = [
    ("IO", "O I-X I-X O", [(1, 3, "X")]),
    ("IO", "I-X I-Y I-X", [(0, 1, "X"), (1, 2, "Y"), (2, 3, "X")]),
    ("IOB1", "I-X I-X O I-X", [(0, 2, "X"), (3, 4, "X")]),
    ("IOB1", "I-X B-X I-X B-X I-Y", [(0, 1, "X"), (1, 3, "X"), (3, 4, "X"), (4, 5, "Y")]),
    ("IOB1", "I-Y I-X O I-X", [(0, 1, "Y"), (1, 2, "X"), (3, 4, "X")]),
    ("BIO", "O B-X I-X O", [(1, 3, "X")]),
    ("BIO", "B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
    ("BIO", "B-X I-X B-X I-X B-Y", [(0, 2, "X"), (2, 4, "X"), (4, 5, "Y")]),
    ("BIO", "O O", []),
    ("BILOU", "B-X L-X", [(0, 2, "X")]),
    ("BILOU", "U-X U-X", [(0, 1, "X"), (1, 2, "X")]),
    ("BILOU", "B-X I-X L-X B-X L-X U-Y", [(0, 3, "X"), (3, 5, "X"), (5, 6, "Y")]),
    ("BIOES", "B-X E-X", [(0, 2, "X")]),
    ("BIOES", "S-X S-X O S-Y", [(0, 1, "X"), (1, 2, "X"), (3, 4, "Y")]),
    ("BIOES", "B-X I-X E-X B-X E-X", [(0, 3, "X"), (3, 5, "X")]),
]


@pytest.mark.parametrize(("name", "tags", "spans"), BOTH_WAYS)
def test_spans_become_these_tags_and_these_tags_become_the_spans(name, tags, spans):
    scheme = scheme_of(name)
    ids = ids_of(scheme, tags)
    assert scheme.is_valid(ids)
    assert scheme.decode(ids) == spans
    assert scheme.encode(len(ids), spans).tolist() == ids.tolist()


def test_io_cannot_tell_adjacent_spans_of_a_label_apart():
    scheme = scheme_of("IO")
    assert scheme.decode(scheme.encode(3, [(0, 1, "X"), (1, 3, "X")])) == [(0, 3, "X")]


INVALID = [
    ("IOB1", "B-X I-X"),
    ("IOB1", "O B-X"),
    ("IOB1", "I-X B-Y"),
    ("BIO", "I-X O"),
    ("BIO", "O I-X"),
    ("BIO", "B-X I-Y"),
    ("BILOU", "B-X O"),
    ("BILOU", "O L-X"),
    ("BILOU", "B-X"),
    ("BILOU", "B-X U-X"),
    ("BILOU", "B-X L-Y"),
    ("BIOES", "I-X E-X"),
    ("BIOES", "S-X E-X"),
    ("BIOES", "B-X S-X"),
    ("BIOES", "B-X I-X"),
]


@pytest.mark.parametrize(("name", "tags"), INVALID)
def test_an_invalid_sequence_is_known_and_repaired(name, tags):
    scheme = scheme_of(name)
    ids = ids_of(scheme, tags)
    assert not scheme.is_valid(ids)
    scores = np.full((len(ids), len(scheme.tags)), -5, dtype=np.float32)
    scores[np.arange(len(ids)), ids] = -0.1
    assert scheme.is_valid(best_valid_tags(scores, scheme))


REPAIRS = [
    # the best tag of each unit with its probability, the second best, what is decoded
    ("BIO", [("I-X", "B-X"), ("I-X", "O")], [(0, 2, "X")]),
    ("BIO", [("O", "B-X"), ("I-X", "B-X")], [(1, 2, "X")]),
    ("BIOES", [("B-X", "S-X"), ("O", "I-X")], [(0, 1, "X")]),
    ("BIOES", [("B-X", "O"), ("I-X", "E-X")], [(0, 2, "X")]),
    ("BILOU", [("B-X", "O"), ("U-X", "L-X"), ("O", "L-X")], [(0, 2, "X")]),
]


@pytest.mark.parametrize(("name", "ranked", "spans"), REPAIRS)
def test_a_repair_takes_the_second_best_where_the_best_cannot_stand(name, ranked, spans):
    scheme = scheme_of(name)
    scores = np.full((len(ranked), len(scheme.tags)), -20, dtype=np.float32)
    for unit, (best, second) in enumerate(ranked):
        scores[unit, scheme.tags.index(best)] = -0.5
        scores[unit, scheme.tags.index(second)] = -1.0
    assert scheme.decode(best_valid_tags(scores, scheme)) == spans


@st.composite
def scored_units(draw):
    name = draw(st.sampled_from(sorted(TAGS)))
    scheme = TagScheme(name, ["X", "Y"] if draw(st.booleans()) else ["X"])
    units = draw(st.integers(1, 4 if len(scheme.tags) < 6 else 3))
    values = st.lists(st.integers(-40, 0), min_size=len(scheme.tags), max_size=len(scheme.tags))
    rows = draw(st.lists(values, min_size=units, max_size=units))
    return scheme, np.array(rows, dtype=np.float32) / 8


@settings(max_examples=examples(400))
@given(scored_units())
def test_no_valid_sequence_scores_higher_than_the_best_valid_one(case):
    scheme, scores = case
    best = best_valid_tags(scores, scheme)
    assert scheme.is_valid(best)
    every = np.array(list(product(range(len(scheme.tags)), repeat=len(scores))))
    totals = scores[np.arange(len(scores)), every].sum(axis=1)
    valid = np.array([scheme.is_valid(sequence) for sequence in every])
    assert scores[np.arange(len(scores)), best].sum() == pytest.approx(totals[valid].max())


def highest_sum(scores, scheme):
    """Of all valid sequences, by dynamic programming over the whole."""
    sums = {tag: float(scores[0, tag]) for tag in np.flatnonzero(scheme.starts)}
    for row in scores[1:]:
        reached = {
            tag: max((total for before, total in sums.items() if scheme.follows[before, tag]), default=-np.inf)
            for tag in range(len(scheme.tags))
        }
        sums = {tag: total + float(row[tag]) for tag, total in reached.items()}
    return max(total for tag, total in sums.items() if scheme.ends[tag])


@schemes
@pytest.mark.parametrize("outside", [0, 3])  # spans everywhere, and few of them
def test_parts_that_are_searched_alone_are_as_good_as_a_search_of_the_whole(name, outside):
    scheme, random = scheme_of(name), np.random.default_rng(7)
    for units in range(1, 60):
        scores = random.normal(scale=random.choice([0.5, 2]), size=(units, len(scheme.tags))).astype(np.float32)
        scores[:, 0] += outside
        best = best_valid_tags(scores, scheme)
        assert scheme.is_valid(best)
        assert scores[np.arange(units), best].sum() == pytest.approx(highest_sum(scores, scheme), abs=1e-3)


@schemes
@settings(max_examples=examples(200))
@given(cuts=st.lists(st.integers(0, 20), unique=True, max_size=8).map(sorted), data=st.data())
def test_decoding_undoes_encoding(name, cuts, data):
    scheme = scheme_of(name)
    bounds = list(zip(cuts[::2], cuts[1::2], strict=False)) if name == "IO" else list(pairwise(cuts))
    spans = [(start, end, data.draw(st.sampled_from(["X", "Y"]))) for start, end in bounds]
    ids = scheme.encode(21, spans)
    assert scheme.is_valid(ids)
    assert scheme.decode(ids) == spans


def test_a_sequence_of_nothing_is_valid():
    assert scheme_of("BIOES").is_valid(np.zeros(0, dtype=np.int64))
