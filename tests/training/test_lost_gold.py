"""The ceiling: what a model without mistakes would score after the whole route, and why not more."""

import pytest

from nlp_inference import Annotation, Category, Document, Processor, Span
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data_report.lost_gold import perfect_prediction
from nlp_training.gold import Compared, gold_kind

LABELS = ["PERSON", "CITY"]


def lost_of(processor: Processor, text: str, *spans: tuple[int, int, str]) -> list[tuple[Compared, str]]:
    gold = Annotation(spans=tuple(Span(start=start, end=end, label=label) for start, end, label in spans))
    [encoded] = processor.encode([Document(id="a", raw_text=text, gold=gold)])
    predicted, lost = perfect_prediction(processor, encoded)
    found = gold_kind("spans").compared(predicted.predicted)
    assert {one.gold for one in lost} == set(gold_kind("spans").compared(gold)) - set(found)
    return [(one.gold, one.cause) for one in lost]


@pytest.mark.parametrize(
    ("text", "span", "preprocess", "cause"),
    [
        ("<b>Ana</b> sings", (0, 3), ["strip_html"], "deleted by strip_html"),
        ("Ana\x00\x01 sings", (3, 5), ["collapse_whitespace", "remove_control"], "deleted by remove_control"),
        ("<i> </i>Ana", (0, 8), ["strip_html", "collapse_whitespace"], "deleted by strip_html"),
        ("a&amp;b", (0, 3), ["remove_control", "strip_html"], "its edge was changed by strip_html"),
        ("Romes", (0, 4), [], "its edge lies inside a word"),
        ("Ana sings", (0, 4), [], "white space at its edge"),
        ("Ana   sings", (3, 6), [], "no token of its own"),
        ("Ana   sings", (3, 6), ["collapse_whitespace"], "no token of its own"),
        ("Ana \x00 sings", (4, 5), [], "no token of its own"),
    ],
)
def test_what_the_text_loses_is_blamed_on_the_transform_or_the_tokens(tokenizer, text, span, preprocess, cause):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS}}, preprocess)
    assert lost_of(processor, text, (*span, "CITY")) == [(Compared("CITY", *span), cause)]


@pytest.mark.parametrize(
    ("postprocess", "text", "span", "cause"),
    [
        ([{"trim_spans": "."}], "Rome Inc.", (0, 9), "changed by trim_spans"),
        ([{"drop_labels": "CITY"}], "Rome", (0, 4), "removed by drop_labels"),
        (["trim_spans", {"map_labels": {"labels": {"CITY": "PERSON"}}}], "Rome", (0, 4), "changed by map_labels"),
        ([{"require_pattern": r"\d+"}, {"trim_spans": "R"}], "Rome", (0, 4), "removed by require_pattern"),
        ([{"min_score": 1.1}], "Rome", (0, 4), "removed by min_score"),
    ],
)
def test_what_postprocessing_takes_is_blamed_on_the_step(tokenizer, postprocess, text, span, cause):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS}}, postprocess=postprocess)
    assert lost_of(processor, text, (*span, "CITY")) == [(Compared("CITY", *span), cause)]


def test_what_adjacent_spans_become_is_blamed_on_the_step(tokenizer):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS}}, postprocess=["merge_adjacent"])
    assert lost_of(processor, "Ana Bo met Eva", (0, 3, "PERSON"), (4, 6, "PERSON"), (11, 14, "PERSON")) == [
        (Compared("PERSON", 0, 3), "changed by merge_adjacent"),
        (Compared("PERSON", 4, 6), "changed by merge_adjacent"),
    ]


def test_of_overlapping_spans_the_most_that_fit_side_by_side_are_kept(tokenizer):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS}})
    spans = [(0, 14, "PERSON"), (0, 3, "PERSON"), (4, 6, "CITY"), (4, 6, "PERSON")]
    assert lost_of(processor, "Ana Bo met Eva", *spans) == [
        (Compared("PERSON", 0, 14), "overlaps in a flat scheme"),
        (Compared("PERSON", 4, 6), "overlaps in a flat scheme"),
    ]


def test_a_span_of_an_unknown_label_is_lost_and_its_neighbours_are_not(tokenizer):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS}})
    assert lost_of(processor, "Ana Bo", (0, 3, "PERSON"), (4, 6, "DOG")) == [
        (Compared("DOG", 4, 6), "its label is not among those of the task")
    ]


def test_what_no_window_reads_is_lost_and_what_several_read_is_not(tokenizer):
    task = {"token-classification": {"labels": LABELS}}
    text = "a b c d e f g h"
    cut = Processor(tokenizer, task, windows={"max_length": 6, "overlap": 0, "on_overflow": "truncate"})
    assert lost_of(cut, text, (0, 3, "CITY"), (10, 13, "CITY")) == [
        (Compared("CITY", 10, 13), "beyond the window that is read")
    ]
    split = Processor(tokenizer, task, windows={"max_length": 6, "overlap": 2})
    assert lost_of(split, text, (0, 13, "CITY")) == []


def test_two_spans_that_the_scheme_merges_are_lost(tokenizer):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS, "scheme": "IO"}})
    cause = "merged with a neighbor by the scheme IO"
    assert [told for _, told in lost_of(processor, "Ana Bo", (0, 3, "CITY"), (4, 6, "CITY"))] == [cause, cause]


@pytest.mark.parametrize(
    ("labels", "postprocess", "causes"),
    [
        (("ham",), [], []),
        (("ham",), [{"map_labels": {"labels": {"ham": "spam"}}}], [("ham", "changed by map_labels")]),
        (("ham",), [{"drop_labels": "ham"}], [("ham", "removed by drop_labels")]),
        (("eggs",), [], [("eggs", "its label is not among those of the task")]),
        (
            ("ham", "spam"),
            [],
            [(label, "one of 2 labels, but the task learns exactly one") for label in ("ham", "spam")],
        ),
    ],
)
def test_a_label_of_a_whole_document_may_be_lost_too(tokenizer, labels, postprocess, causes):
    processor = Processor(tokenizer, {"text-classification": {"labels": ["ham", "spam"]}}, postprocess=postprocess)
    gold = Annotation(categories=tuple(Category(label=label) for label in labels))
    [encoded] = processor.encode([Document(raw_text="Hello", gold=gold)])
    _, lost = perfect_prediction(processor, encoded)
    assert [(one.gold.label, one.cause) for one in lost] == causes


def test_without_gold_there_is_no_ceiling(tokenizer):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS}})
    [encoded] = processor.encode([Document(id="a", raw_text="Ana")])
    with pytest.raises(InvalidDocumentError, match="document 'a' has no gold annotation"):
        perfect_prediction(processor, encoded)


def test_lost_gold_says_where_and_why(tokenizer):
    processor = Processor(tokenizer, {"token-classification": {"labels": LABELS}})
    gold = Annotation(spans=(Span(start=0, end=4, label="CITY"),))
    [encoded] = processor.encode([Document(id="a", raw_text="Romes", gold=gold)])
    _, [lost] = perfect_prediction(processor, encoded)
    assert str(lost) == "document 'a': CITY 'Rome': its edge lies inside a word"
    assert lost.to_json() == {
        "document": "a",
        "start": 0,
        "end": 4,
        "label": "CITY",
        "cause": "its edge lies inside a word",
    }
