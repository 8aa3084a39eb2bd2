"""Post-transforms that look at spans together: merge_adjacent and resolve_overlaps."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference.document import Annotation, Document, Relation, Span
from nlp_inference.errors import PatternTimeoutError
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.post import MergeAdjacent, ResolveOverlaps
from nlp_inference.transforms.post._spans import replace_spans


def revise(spec, text, spans, relations=()):
    predicted = Annotation(
        spans=tuple(Span(start=start, end=end, label=label, score=score) for start, end, label, score in spans),
        relations=tuple(Relation(head=head, tail=tail, label=label) for head, tail, label in relations),
    )
    return PostTransform.from_spec(spec)(Document(raw_text=text, predicted=predicted)).predicted


def rows(annotation):
    return [(span.start, span.end, span.label, span.score) for span in annotation.spans]


@pytest.mark.parametrize(
    ("spec", "text", "spans", "expected"),
    [
        ("merge_adjacent", "Ana Lee", [(0, 3, "P", 0.9), (4, 7, "P", 0.8)], [(0, 7, "P", 0.8)]),
        ("merge_adjacent", "AnaLee", [(0, 3, "P", 0.9), (3, 6, "P", 0.8)], [(0, 6, "P", 0.8)]),
        ("merge_adjacent", "Ana-Lee", [(0, 3, "P", 0.9), (4, 7, "P", 0.8)], [(0, 3, "P", 0.9), (4, 7, "P", 0.8)]),
        ("merge_adjacent", "Ana  Lee", [(0, 3, "P", 0.9), (5, 8, "P", 0.8)], [(0, 3, "P", 0.9), (5, 8, "P", 0.8)]),
        ("merge_adjacent", "Ana Lee", [(0, 3, "P", 0.9), (4, 7, "Q", 0.8)], [(0, 3, "P", 0.9), (4, 7, "Q", 0.8)]),
        ("merge_adjacent", "a b c", [(0, 1, "P", 1), (2, 3, "P", 1), (4, 5, "P", 1)], [(0, 5, "P", 1)]),
        ("merge_adjacent", "a b", [(2, 3, "P", None), (0, 1, "P", None)], [(0, 3, "P", None)]),
        ("merge_adjacent", "a b", [(0, 1, "P", None), (2, 3, "P", 0.5)], [(0, 3, "P", 0.5)]),
        ("merge_adjacent", "abcd", [(0, 3, "P", 0.9), (2, 4, "P", 0.8)], [(0, 3, "P", 0.9), (2, 4, "P", 0.8)]),
        (
            "merge_adjacent",
            "Bank of Rome Ltd",
            [(0, 12, "O", 0.9), (8, 12, "O", 0.7), (13, 16, "O", 0.8)],
            [(0, 16, "O", 0.8), (8, 12, "O", 0.7)],
        ),
        (
            {"merge_adjacent": 0},
            "a bc",
            [(0, 1, "P", 1), (2, 3, "P", 1), (3, 4, "P", 1)],
            [(0, 1, "P", 1), (2, 4, "P", 1)],
        ),
        ({"merge_adjacent": 2}, "a \nb", [(0, 1, "P", 1), (3, 4, "P", 1)], [(0, 4, "P", 1)]),
        (
            {"merge_adjacent": {"max_gap": 3, "gap": r"\s*-\s*"}},
            "12 - 34 56",
            [(0, 2, "P", 1), (5, 7, "P", 1), (8, 10, "P", 1)],
            [(0, 7, "P", 1), (8, 10, "P", 1)],
        ),
        (
            {"merge_adjacent": {"labels": "P"}},
            "a b c d",
            [(0, 1, "P", 1), (2, 3, "P", 1), (4, 5, "Q", 1), (6, 7, "Q", 1)],
            [(0, 3, "P", 1), (4, 5, "Q", 1), (6, 7, "Q", 1)],
        ),
        ({"merge_adjacent": {"score": "max"}}, "a b", [(0, 1, "P", 0.2), (2, 3, "P", 0.6)], [(0, 3, "P", 0.6)]),
        ({"merge_adjacent": {"score": "mean"}}, "a bcd", [(0, 1, "P", 0.25), (2, 5, "P", 0.75)], [(0, 5, "P", 0.625)]),
    ],
)
def test_merge_adjacent(spec, text, spans, expected):
    assert rows(revise(spec, text, spans)) == expected


def test_a_joined_span_stands_at_the_place_of_its_first_part_and_relations_follow():
    revised = revise(
        "merge_adjacent",
        "Ana Lee met Bob",
        [(12, 15, "P", None), (4, 7, "P", None), (8, 11, "V", None), (0, 3, "P", None)],
        relations=[(0, 3, "knows"), (0, 1, "knows"), (1, 3, "next"), (2, 0, "whom")],
    )
    assert rows(revised) == [(12, 15, "P", None), (8, 11, "V", None), (0, 7, "P", None)]
    assert revised.relations == (Relation(head=0, tail=2, label="knows"), Relation(head=1, tail=0, label="whom"))


def test_the_patterns_of_gaps_have_a_time_limit():
    text = "x" + "a" * 80 + "!y"
    spec = {"merge_adjacent": {"max_gap": 90, "gap": "(a|aa)+$", "timeout": 0.05}}
    with pytest.raises(PatternTimeoutError):
        revise(spec, text, [(0, 1, "P", None), (82, 83, "P", None)])


@pytest.mark.parametrize(
    ("strategy", "spans", "expected"),
    [
        ("score", [(0, 9, "A", 0.6), (5, 9, "B", 0.9)], [1]),
        ("longest", [(0, 9, "A", 0.6), (5, 9, "B", 0.9)], [0]),
        ("score", [(0, 5, "A", 0.9), (5, 9, "B", 0.1)], [0, 1]),
        ("score", [(0, 5, "A", 0.8), (4, 9, "B", 0.9), (8, 12, "C", 0.8)], [1]),
        ("longest", [(0, 5, "A", 0.8), (4, 7, "B", 0.9), (6, 12, "C", 0.8)], [0, 2]),
        ("score", [(0, 5, "A", 0.5), (0, 6, "B", 0.5)], [1]),
        ("longest", [(0, 5, "A", 0.5), (2, 7, "B", 0.6)], [1]),
        ("score", [(2, 7, "A", 0.5), (0, 5, "B", 0.5)], [1]),
        ("score", [(0, 5, "B", 0.5), (0, 5, "A", 0.5)], [1]),
        ("score", [(0, 5, "A", 0.5), (0, 5, "A", 0.5)], [0]),
        ("score", [(0, 5, "A", None), (4, 5, "B", 0.0)], [1]),
        ("longest", [(0, 5, "A", None), (0, 5, "B", 0.0)], [1]),
        ("score", [(8, 9, "A", 0.9), (0, 9, "A", 0.5), (3, 4, "A", 0.9)], [0, 2]),
        ("score", [], []),
    ],
)
def test_resolve_overlaps(strategy, spans, expected):
    assert rows(revise({"resolve_overlaps": strategy}, "x" * 12, spans)) == [spans[i] for i in expected]


def test_resolve_overlaps_keeps_relations_right():
    spans = [(0, 9, "A", 0.1), (0, 3, "B", 0.9), (5, 9, "C", 0.8)]
    revised = revise("resolve_overlaps", "x" * 9, spans, relations=[(2, 1, "to"), (0, 1, "to")])
    assert revised.relations == (Relation(head=1, tail=0, label="to"),)


def test_of_relations_that_become_equal_the_best_scored_one_stays():
    spans = tuple(Span(start=i, end=i + 1, label="X") for i in range(3))
    relations = (Relation(head=0, tail=2, label="to", score=0.4), Relation(head=1, tail=2, label="to", score=0.7))
    merged = Span(start=0, end=2, label="X")
    revised = replace_spans(Annotation(spans=spans, relations=relations), [(merged, (0, 1)), (spans[2], (2,))])
    assert revised.relations == (Relation(head=0, tail=1, label="to", score=0.7),)


SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 9), st.sampled_from("AB"), st.sampled_from([None, 0.1, 0.5, 0.9])).map(
        lambda row: Span(start=row[0], end=row[0] + row[1], label=row[2], score=row[3])
    ),
    max_size=25,
)


def overlap(one, other):
    return one.start < other.end and other.start < one.end


def plainly_resolved(spans, strategy):
    """The same rule, written down without any cleverness."""

    def key(place):
        span = spans[place]
        score, length = (-1 if span.score is None else span.score), span.end - span.start
        first, second = (score, length) if strategy == "score" else (length, score)
        return -first, -second, span.start, span.label, place

    kept = []
    for place in sorted(range(len(spans)), key=key):
        if not any(overlap(spans[place], spans[other]) for other in kept):
            kept.append(place)
    return tuple(spans[place] for place in sorted(kept))


@given(spans=SPANS, strategy=st.sampled_from(["score", "longest"]))
def test_resolved_spans_are_those_of_the_plain_rule(spans, strategy):
    document = Document(raw_text="x" * 40, predicted=Annotation(spans=tuple(spans)))
    resolved = ResolveOverlaps(strategy=strategy)(document).predicted.spans
    assert resolved == plainly_resolved(spans, strategy)
    assert not any(overlap(one, other) for one, other in combinations(resolved, 2))


@given(spans=SPANS, max_gap=st.integers(0, 3), text=st.text(alphabet=" x", min_size=40, max_size=40))
def test_merging_twice_is_merging_once_and_no_covered_character_is_lost(spans, max_gap, text):
    spans = plainly_resolved(spans, "score")
    merge = MergeAdjacent(max_gap=max_gap)
    once = merge(Document(raw_text=text, predicted=Annotation(spans=spans)))
    assert merge(once) == once
    covered = {(place, span.label) for span in once.predicted.spans for place in range(span.start, span.end)}
    assert {(place, span.label) for span in spans for place in range(span.start, span.end)} <= covered
    assert all(text[place] == " " for place, label in covered if not any(s.start <= place < s.end for s in spans))


@given(spans=SPANS, data=st.data())
def test_relations_always_join_the_same_spans(spans, data):
    if not spans:
        return
    places = st.integers(0, len(spans) - 1)
    links = data.draw(st.lists(st.tuples(places, places), max_size=8))
    named = tuple(span.model_copy(update={"label": f"{span.label}{i}"}) for i, span in enumerate(spans))
    relations = tuple(Relation(head=head, tail=tail, label=f"{i}") for i, (head, tail) in enumerate(links))
    document = Document(raw_text="x" * 40, predicted=Annotation(spans=named, relations=relations))
    revised = ResolveOverlaps()(document).predicted
    joined = {(revised.spans[r.head].label, revised.spans[r.tail].label, r.label) for r in revised.relations}
    kept = {span.label for span in revised.spans}
    expected = {(named[head].label, named[tail].label, f"{i}") for i, (head, tail) in enumerate(links)}
    assert joined == {link for link in expected if link[0] in kept and link[1] in kept}
