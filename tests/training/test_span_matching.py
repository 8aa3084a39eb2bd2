"""The four span scores of SemEval-2013, by tables made by hand and by the package that everybody cites."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nervaluate import Evaluator

from nlp_training.metrics import SpanF1, SpanMatching, TokenF1
from nlp_training.metrics.matching import OUTCOMES, SCHEMES
from nlp_training.metrics.tokens import token_spans

LABELS = ("A", "B", "C")
MATCHING, EXACT = SpanMatching(), SpanF1()  # what they compute, without the file that they pass it through, is faster
Spans = list[dict[str, object]]


def span(start: int, end: int, label: str = "A") -> dict[str, object]:
    return {"start": start, "end": end, "label": label}


def outcomes(found: Spans, gold: Spans) -> dict[str, tuple[int, ...]]:
    scores = SpanMatching(keep_in_memory=True).compute(predictions=[found], references=[gold])
    return {scheme: tuple(scores[scheme][outcome] for outcome in OUTCOMES) for scheme in SCHEMES}


# correct, incorrect, partial, missed, spurious
TABLE = [
    # the scenarios of the task's own definitions
    ("all right", [span(0, 5)], [span(0, 5)], [(1, 0, 0, 0, 0)] * 4),
    ("spurious", [span(0, 5)], [], [(0, 0, 0, 0, 1)] * 4),
    ("missed", [], [span(0, 5)], [(0, 0, 0, 1, 0)] * 4),
    (
        "wrong label",
        [span(0, 5, "B")],
        [span(0, 5)],
        [(0, 1, 0, 0, 0), (1, 0, 0, 0, 0), (1, 0, 0, 0, 0), (0, 1, 0, 0, 0)],
    ),
    (
        "wrong boundary",
        [span(0, 4)],
        [span(0, 5)],
        [(0, 1, 0, 0, 0), (0, 1, 0, 0, 0), (0, 0, 1, 0, 0), (1, 0, 0, 0, 0)],
    ),
    (
        "wrong label and boundary",
        [span(2, 9, "B")],
        [span(0, 5)],
        [(0, 1, 0, 0, 0), (0, 1, 0, 0, 0), (0, 0, 1, 0, 0), (0, 1, 0, 0, 0)],
    ),
    # spans that only touch share no character
    ("beside it", [span(5, 8)], [span(0, 5)], [(0, 0, 0, 1, 1)] * 4),
    # one found span over two gold ones has one partner, of its label if it can
    (
        "two in one",
        [span(0, 9, "B")],
        [span(0, 4, "A"), span(5, 9, "B")],
        [(0, 1, 0, 1, 0), (0, 1, 0, 1, 0), (0, 0, 1, 1, 0), (1, 0, 0, 1, 0)],
    ),
    # two parts of one gold span: the second has no partner
    (
        "one in two",
        [span(0, 4), span(5, 9)],
        [span(0, 9)],
        [(0, 1, 0, 0, 1), (0, 1, 0, 0, 1), (0, 0, 1, 0, 1), (1, 0, 0, 0, 1)],
    ),
    # of two gold spans of its label, the nearest is its partner; the other is left for the next
    (
        "nearest",
        [span(0, 10), span(0, 3)],
        [span(0, 2), span(3, 11)],
        [(0, 2, 0, 0, 0), (0, 2, 0, 0, 0), (0, 0, 2, 0, 0), (2, 0, 0, 0, 0)],
    ),
]


@pytest.mark.parametrize(("found", "gold", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_outcomes_by_hand(found: Spans, gold: Spans, expected: list[tuple[int, ...]]) -> None:
    assert outcomes(found, gold) == dict(zip(SCHEMES, expected, strict=True))


def test_the_scores_that_follow_from_the_outcomes() -> None:
    gold = [span(0, 5), span(6, 9), span(10, 12)]
    found = [span(0, 5), span(6, 8), span(20, 22), span(30, 32)]
    partial = SpanMatching(keep_in_memory=True).compute(predictions=[found], references=[gold])["partial"]
    assert (partial["precision"], partial["recall"]) == (1.5 / 4, 1.5 / 3)
    assert partial["f1"] == pytest.approx(2 * 1.5 / 7)


@st.composite
def flat_spans(draw: st.DrawFn) -> Spans:
    """Spans of up to nine characters that do not overlap."""
    spans, place = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = place + draw(st.integers(0, 4))
        place = start + draw(st.integers(1, 9))
        spans.append(span(start, place, draw(st.sampled_from(LABELS))))
    return spans


documents = st.lists(st.tuples(flat_spans(), flat_spans()), min_size=1, max_size=4)


@given(documents)
def test_flat_spans_score_as_with_nervaluate(pairs: list[tuple[Spans, Spans]]) -> None:
    sides = ([[{**one, "end": one["end"] - 1} for one in spans] for spans in side] for side in zip(*pairs, strict=True))
    found, gold = sides  # nervaluate's ends are inclusive
    peer = Evaluator(gold, found, tags=list(LABELS), loader="dict").evaluate()["overall"]
    scores = MATCHING._compute(predictions=[found for found, _ in pairs], references=[gold for _, gold in pairs])
    for scheme, name in zip(SCHEMES, ("strict", "exact", "partial", "ent_type"), strict=True):
        for outcome in OUTCOMES:
            assert scores[scheme][outcome] == getattr(peer[name], outcome), (scheme, outcome)
        for value in ("precision", "recall", "f1"):
            assert scores[scheme][value] == pytest.approx(getattr(peer[name], value))


@given(documents)
def test_the_scores_of_a_label_are_those_of_nervaluate(pairs: list[tuple[Spans, Spans]]) -> None:
    sides = ([[{**one, "end": one["end"] - 1} for one in spans] for spans in side] for side in zip(*pairs, strict=True))
    found, gold = sides
    peer = Evaluator(gold, found, tags=list(LABELS), loader="dict").evaluate()["entities"]
    scores = MATCHING._compute(predictions=[found for found, _ in pairs], references=[gold for _, gold in pairs])
    for scheme, name in zip(SCHEMES, ("strict", "exact", "partial", "ent_type"), strict=True):
        assert sorted(scores[scheme]["per_label"]) == sorted(peer)
        for label, one in scores[scheme]["per_label"].items():
            for value in (*OUTCOMES, "precision", "recall", "f1"):
                assert one[value] == pytest.approx(getattr(peer[label][name], value)), (scheme, label, value)


def test_a_wrong_label_is_spurious_for_one_label_and_missed_for_the_other() -> None:
    scores = MATCHING._compute(predictions=[[span(0, 5, "B"), span(6, 8)]], references=[[span(0, 5), span(6, 9)]])
    assert {
        (scheme, label): tuple(scores[scheme]["per_label"][label][outcome] for outcome in OUTCOMES)
        for scheme in ("exact", "partial", "type")
        for label in ("A", "B")
    } == {
        ("exact", "A"): (0, 1, 0, 1, 0),
        ("exact", "B"): (0, 0, 0, 0, 1),
        ("partial", "A"): (0, 0, 1, 1, 0),
        ("partial", "B"): (0, 0, 0, 0, 1),
        ("type", "A"): (1, 0, 0, 1, 0),
        ("type", "B"): (0, 0, 0, 0, 1),
    }


any_spans = st.lists(
    st.builds(lambda start, length, label: span(start, start + length, label), *[st.integers(0, 12), st.integers(1, 9)],
              st.sampled_from(LABELS)),
    max_size=6,
)  # fmt: skip


@given(any_spans, any_spans)
def test_strict_is_the_exact_span_f1_and_each_scheme_forgives_more(found: Spans, gold: Spans) -> None:
    scores = MATCHING._compute(predictions=[found], references=[gold])
    exact = EXACT._compute(predictions=[found], references=[gold], resamples=0)
    assert [scores["strict"][name] for name in ("precision", "recall", "f1")] == pytest.approx(
        [exact[name] for name in ("precision", "recall", "f1")]
    )
    assert scores["strict"]["f1"] <= scores["exact"]["f1"] <= scores["partial"]["f1"]
    assert scores["strict"]["f1"] <= scores["type"]["f1"]
    for one in scores.values():
        paired = one["correct"] + one["incorrect"] + one["partial"]
        assert paired + one["missed"] == len({tuple(span.values()) for span in gold})
        assert paired + one["spurious"] == len({tuple(span.values()) for span in found})


@pytest.mark.parametrize(
    ("text", "start", "end", "tokens"),
    [
        ("Ana lives in Rome", 13, 17, (3, 4)),
        ("Ana-Maria", 0, 9, (0, 3)),
        ("Ana-Maria", 4, 7, (2, 3)),  # a part of a token has the token
        ("a  b", 1, 2, (1, 1)),  # white space has none
        ("e.g. नमस्ते x", 5, 11, (4, 5)),  # marks belong to their letters
    ],
)
def test_the_tokens_of_a_span(text: str, start: int, end: int, tokens: tuple[int, int]) -> None:
    from nlp_inference import Span

    ((found,),) = token_spans(text, [Span(start=start, end=end, label="A")])
    assert (found["start"], found["end"]) == tokens


def test_token_scores_by_hand() -> None:
    gold = [[span(0, 3, "A"), span(5, 6, "B")], []]
    found = [[span(1, 4, "A"), span(5, 6, "A")], [span(0, 1, "B")]]
    scores = TokenF1(keep_in_memory=True).compute(predictions=found, references=gold)
    assert (scores["precision"], scores["recall"], scores["support"]) == (2 / 5, 2 / 4, 4)
    assert scores["per_label"]["A"] == {"precision": 2 / 4, "recall": 2 / 3, "f1": pytest.approx(4 / 7), "support": 3}
    assert scores["per_label"]["B"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert scores["averages"]["macro"]["f1"] == pytest.approx(2 / 7)
    assert scores["averages"]["weighted"]["f1"] == pytest.approx(3 / 7)
