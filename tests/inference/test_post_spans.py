"""Post-transforms that look at one span at a time: trim_spans, min_score, map_labels, drop_labels, require_pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference.document import Annotation, Category, Coverage, Document, Relation, Span
from nlp_inference.errors import InvalidSpecError, PatternTimeoutError
from nlp_inference.transforms import post
from nlp_inference.transforms.base import PostTransform
from nlp_inference.transforms.compose import Compose

SCORED = ((0, 3, "A", 0.9), (4, 7, "B", 0.5), (8, 11, "A", None))


def annotate(*rows, categories=(), relations=()):
    spans = tuple(Span(start=start, end=end, label=label, score=score) for start, end, label, score in rows)
    return Annotation(
        spans=spans,
        categories=tuple(Category(label=label, score=score) for label, score in categories),
        relations=tuple(Relation(head=head, tail=tail, label=label) for head, tail, label in relations),
    )


def rows(annotation):
    return [(span.start, span.end, span.label, span.score) for span in annotation.spans]


def revise(spec, text, *spans, **others):
    document = Document(raw_text=text, predicted=annotate(*spans, **others))
    return PostTransform.from_spec(spec)(document).predicted


def pairs(items):
    return [(item.label, item.score) for item in items]


def test_a_document_whose_spans_need_no_trimming_is_not_copied():
    document = Document(raw_text="Ana met Bo", predicted=annotate((0, 3, "A", 0.9), (8, 10, "B", 0.5)))
    assert PostTransform.from_spec("trim_spans")(document) is document


@pytest.mark.parametrize(
    ("spec", "text", "span", "expected"),
    [
        ("trim_spans", "to Ana !", (2, 7), (3, 6)),
        ("trim_spans", "Ana", (0, 3), (0, 3)),
        ("trim_spans", "\n\tAna\xa0\u3000", (0, 7), (2, 5)),
        ("trim_spans", "\ufeffAna\u200b", (0, 5), (1, 4)),
        ("trim_spans", "Ana  Lee ", (0, 9), (0, 8)),
        ("trim_spans", " , ", (0, 3), (1, 2)),
        ("trim_spans", "a   b", (1, 4), None),
        ({"trim_spans": ",."}, " , Ana ., ", (0, 10), (3, 6)),
        ({"trim_spans": ",."}, "e.g., A.B.", (0, 10), (0, 9)),
        ({"trim_spans": ",."}, " .,. ", (0, 5), None),
        ({"trim_spans": ","}, "Ana.,", (0, 5), (0, 4)),
        ({"trim_spans": "()"}, "(דנה)", (0, 5), (1, 4)),
    ],
)
def test_trim_spans(spec, text, span, expected):
    start, end = span
    assert rows(revise(spec, text, (start, end, "X", 0.5))) == ([(*expected, "X", 0.5)] if expected else [])


@given(text=st.text(alphabet=" \n.,ab\u200b", max_size=12), data=st.data())
def test_a_trimmed_span_has_clean_edges_and_loses_only_what_was_to_go(text, data):
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    end = data.draw(st.integers(min(start + 1, len(text)), len(text)))
    if start == end:
        return
    trimmed = revise({"trim_spans": ".,"}, text, (start, end, "X", None)).spans
    kept = [(span.start, span.end) for span in trimmed]
    letters = [place for place in range(start, end) if text[place] in "ab"]
    assert kept == ([(letters[0], letters[-1] + 1)] if letters else [])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("min_score", SCORED),
        ({"min_score": 0.5}, SCORED),
        ({"min_score": 0.51}, (SCORED[0], SCORED[2])),
        ({"min_score": 1}, (SCORED[2],)),
        ({"min_score": {"labels": {"B": 0.6}}}, (SCORED[0], SCORED[2])),
        ({"min_score": {"threshold": 0.95, "labels": {"B": 0.1}}}, (SCORED[1], SCORED[2])),
    ],
)
def test_min_score_of_spans(spec, expected):
    assert rows(revise(spec, "Ana met Bob", *SCORED)) == list(expected)


def test_min_score_of_categories():
    categories = (("spam", 0.7), ("ham", 0.3), ("sure", None))
    assert pairs(revise({"min_score": 0.5}, "x", categories=categories).categories) == [("spam", 0.7), ("sure", None)]
    assert pairs(revise({"min_score": {"labels": {"spam": 0.8}}}, "x", categories=categories).categories) == [
        ("ham", 0.3),
        ("sure", None),
    ]


def test_map_labels_renames_spans_categories_and_relations():
    revised = revise(
        {"map_labels": {"labels": {"PER": "PERSON", "GPE": "PLACE", "FAC": "PLACE", "in": "lives_in"}}},
        "Ana Rome Bar x",
        (0, 3, "PER", 0.9),
        (4, 8, "GPE", 0.8),
        (9, 12, "FAC", 0.7),
        (13, 14, "MISC", 0.6),
        categories=(("FAC", 0.2), ("other", 0.5), ("GPE", 0.3)),
        relations=((0, 1, "in"), (0, 3, "of")),
    )
    assert rows(revised) == [(0, 3, "PERSON", 0.9), (4, 8, "PLACE", 0.8), (9, 12, "PLACE", 0.7), (13, 14, "MISC", 0.6)]
    assert pairs(revised.categories) == [("PLACE", 0.3), ("other", 0.5)]
    assert revised.relations == (Relation(head=0, tail=1, label="lives_in"), Relation(head=0, tail=3, label="of"))


def test_spans_that_become_equal_become_one_with_the_best_score_and_all_relations():
    revised = revise(
        {"map_labels": {"labels": {"GPE": "PLACE", "LOC": "PLACE"}}},
        "Rome, Ana",
        (0, 4, "GPE", 0.4),
        (6, 9, "PERSON", None),
        (0, 4, "LOC", 0.6),
        relations=((1, 0, "in"), (1, 2, "in"), (0, 2, "same"), (2, 1, "of")),
    )
    assert rows(revised) == [(0, 4, "PLACE", 0.6), (6, 9, "PERSON", None)]
    assert revised.relations == (Relation(head=1, tail=0, label="in"), Relation(head=0, tail=1, label="of"))


def test_map_labels_swaps_names_at_once():
    swapped = revise({"map_labels": {"labels": {"A": "B", "B": "A"}}}, "xy", (0, 1, "A", None), (1, 2, "B", None))
    assert [span.label for span in swapped.spans] == ["B", "A"]


@pytest.mark.parametrize(
    "spec", [{"drop_labels": "A"}, {"drop_labels": ["A"]}, {"drop_labels": {"labels": ["A", "Z"]}}]
)
def test_drop_labels(spec):
    revised = revise(
        spec,
        "Ana met Bob",
        *SCORED,
        (0, 11, "C", None),
        categories=(("A", 0.5), ("B", 0.4)),
        relations=((1, 3, "of"), (0, 1, "of"), (1, 3, "A"), (3, 1, "to")),
    )
    assert rows(revised) == [(4, 7, "B", 0.5), (0, 11, "C", None)]
    assert pairs(revised.categories) == [("B", 0.4)]
    assert revised.relations == (Relation(head=0, tail=1, label="of"), Relation(head=1, tail=0, label="to"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"require_pattern": r"\d+"}, ["12"]),
        ({"require_pattern": r"\d+.?"}, ["12", "34b"]),
        ({"require_pattern": {"pattern": r"\d+", "labels": "YEAR"}}, ["12", "34b"]),
        ({"require_pattern": {"pattern": r"(?i)B", "labels": ["NAME", "YEAR"]}}, []),
        ({"require_pattern": r"1|12"}, ["12"]),
    ],
)
def test_require_pattern_matches_the_whole_raw_surface(spec, expected):
    text = "12 34b"
    revised = revise(spec, text, (0, 2, "YEAR", None), (3, 6, "NAME", None))
    assert [text[span.start : span.end] for span in revised.spans] == expected


def test_require_pattern_keeps_relations_right():
    spans = ((0, 1, "X", None), (1, 2, "X", None), (2, 3, "X", None))
    revised = revise({"require_pattern": "[ac]"}, "abc", *spans, relations=((2, 0, "to"), (0, 1, "to")))
    assert revised.relations == (Relation(head=1, tail=0, label="to"),)


def test_a_hostile_pattern_ends_in_a_clear_error():
    spec = {"require_pattern": {"pattern": "(a|aa)+$", "timeout": 0.05}}
    with pytest.raises(PatternTimeoutError, match=r"\(a\|aa\)\+\$.* ran longer than 0\.05 s"):
        revise(spec, "a" * 100 + "!", (0, 101, "X", None))


def test_the_time_limit_holds_for_all_spans_of_a_document_together():
    spans = tuple((start, 62, "X", None) for start in range(40))
    spec = {"require_pattern": {"pattern": "(a|aa)+$", "timeout": 0.05}}
    with pytest.raises(PatternTimeoutError):
        revise(spec, "a" * 61 + "!", *spans)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"require_pattern": "("}, r"pattern.*is not a regular expression"),
        ({"require_pattern": ""}, "at least 1 character"),
        ("require_pattern", "pattern: Field required"),
        ({"require_pattern": {"pattern": "a", "timeout": 0}}, "greater than 0"),
        ({"merge_adjacent": {"gap": "["}}, r"gap.*is not a regular expression"),
        ({"merge_adjacent": -1}, "greater than or equal to 0"),
        ({"merge_adjacent": {"score": "best"}}, "'min', 'mean' or 'max'"),
        ({"min_score": "high"}, "valid number"),
        ({"min_score": float("nan")}, "finite"),
        ({"min_score": {"label": {"A": 1}}}, "unknown key 'label'; did you mean 'labels'"),
        ("drop_labels", "labels: Field required"),
        ({"drop_labels": []}, "at least 1 item"),
        ("map_labels", "labels: Field required"),
        ({"map_labels": {"PER": "PERSON"}}, "unknown key 'PER'"),
        ({"resolve_overlaps": "shortest"}, "'score' or 'longest'"),
        ({"trim_span": "."}, "unknown post-transform 'trim_span'; did you mean 'trim_spans'"),
    ],
)
def test_a_wrong_specification_says_what_is_wrong(spec, message):
    with pytest.raises(InvalidSpecError, match=message):
        PostTransform.from_spec(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "trim_spans",
        {"trim_spans": ".,"},
        {"min_score": 0.5},
        {"min_score": {"labels": {"A": 0.25}}},
        "merge_adjacent",
        {"merge_adjacent": {"gap": "[-/]", "labels": ["A"], "score": "mean"}},
        {"merge_adjacent": 3},
        "resolve_overlaps",
        {"resolve_overlaps": "longest"},
        {"map_labels": {"labels": {"PER": "PERSON"}}},
        {"drop_labels": ["MISC"]},
        {"require_pattern": "x+"},
        {"require_pattern": {"pattern": "x+", "labels": ["A"]}},
    ],
)
def test_specifications_survive_a_round_trip(spec):
    assert PostTransform.from_spec(spec).to_spec() == spec


def test_every_exported_post_transform_is_registered_and_the_names_are_sorted():
    assert post.__all__ == sorted(post.__all__)
    for name in post.__all__:
        exported = getattr(post, name)
        assert PostTransform.members[exported.name] is exported


def test_a_chain_as_in_production_keeps_coverage_gold_and_edits():
    text = "call  Ana Lee , 0170/1234567 or no"
    predicted = annotate(
        (5, 9, "PER", 0.9), (10, 15, "PER", 0.8), (16, 28, "TEL", 0.9), (32, 34, "TEL", 0.9), (0, 4, "MISC", 0.99)
    )
    coverage = Coverage(characters=len(text), read=len(text), windows=1)
    document = Document(raw_text=text, gold=Annotation(), id="1").with_predicted(predicted, coverage=coverage)
    chain = Compose(
        [
            {"trim_spans": ","},
            "merge_adjacent",
            {"map_labels": {"labels": {"PER": "PERSON", "TEL": "PHONE"}}},
            {"require_pattern": {"pattern": r"[\d/+ ]{5,}", "labels": "PHONE"}},
            {"drop_labels": "MISC"},
            "resolve_overlaps",
        ],
        kind=PostTransform,
    )
    revised = chain(document)
    assert rows(revised.predicted) == [(6, 13, "PERSON", 0.8), (16, 28, "PHONE", 0.9)]
    assert (revised.coverage, revised.gold, revised.id) == (coverage, Annotation(), "1")


def test_a_document_without_prediction_stays_as_it_is():
    document = Document(raw_text="Ana")
    assert Compose(["trim_spans", {"min_score": 1.0}], kind=PostTransform)(document) == document
