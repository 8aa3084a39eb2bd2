"""Documents: what they refuse, their JSON, and gold kept apart from predictions."""

import json

import pytest
from hypothesis import given, settings
from pydantic import ValidationError
from strategies import documents
from thorough import examples

from nlp_inference.document import Annotation, Category, Coverage, Document, Span, as_document
from nlp_inference.document.aligned_text import Edit
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.transforms import ReplaceRegex, StripHtml

ROME = Span(start=13, end=17, label="CITY")
TEXT = "Ana lives in Rome"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"raw_text": TEXT, "gold": {"spans": [{"start": 13, "end": 18, "label": "X"}]}}, "raw text of 17 characters"),
        ({"raw_text": TEXT, "gold": {"spans": [{"start": 3, "end": 3, "label": "X"}]}}, "empty or reversed"),
        ({"raw_text": TEXT, "gold": {"spans": [{"start": 4, "end": 3, "label": "X"}]}}, "empty or reversed"),
        ({"raw_text": TEXT, "predicted": {"spans": [{"start": -1, "end": 3, "label": "X"}]}}, "greater than or equal"),
        ({"raw_text": TEXT, "gold": {"relations": [{"head": 0, "tail": 0, "label": "X"}]}}, "there are 0 spans"),
        ({"raw_text": TEXT, "gold": {"spans": [{"start": 0, "end": 1}]}}, "label"),
        ({"raw_text": TEXT, "colour": "red"}, "colour"),
        ({"raw_text": TEXT, "spans": []}, "spans"),
        ({"raw_text": None}, "raw_text"),
        ({}, "raw_text"),
        ({"raw_text": "a\ud800b"}, "lone surrogate '\\\\ud800' at character 1"),
        ({"raw_text": "a", "raw_text_pair": "\udfff"}, "lone surrogate"),
        (
            {"raw_text": "a", "gold": {"spans": [{"start": 0, "end": 1, "label": "\udfff"}]}},
            "gold contains.*lone surrogate",
        ),
        ({"raw_text": "a", "gold": {"categories": [{"label": "x\udfff"}]}}, "gold contains.*at character 1"),
        ({"raw_text": "a", "gold": {"generated": ["\ud800"]}}, "gold contains.*lone surrogate"),
        ({"raw_text": "a", "gold": {"values": {"\ud800": 1}}}, "gold contains.*lone surrogate"),
        ({"raw_text": "a", "predicted": {"label_scores": {"\ud800": 1}}}, "predicted contains.*lone surrogate"),
        ({"raw_text": "a", "gold": {"heads": {"\ud800": {}}}}, "gold contains.*lone surrogate"),
        ({"raw_text": "a", "gold": {"heads": {"x": {"generated": ["\ud800"]}}}}, "head 'x' contains.*lone surrogate"),
        ({"raw_text": "a", "metadata": {"note": "\ud83d"}}, "lone surrogate"),
        ({"raw_text": "a", "metadata": {"deep": [{"\udc00": 1}]}}, "lone surrogate"),
    ],
)
def test_what_cannot_be_is_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        Document.model_validate(fields)
    with pytest.raises(InvalidDocumentError, match=said) as caught:
        as_document({"id": "d7", **fields})
    assert "document 'd7'" in str(caught.value)


def test_an_id_with_a_lone_surrogate_is_refused():
    with pytest.raises(InvalidDocumentError, match=r"id: lone surrogate '\\ud83d' at character 0"):
        as_document({"raw_text": "Ana", "id": "\ud83d"})


@pytest.mark.parametrize("name", ["gold", "predicted"])
def test_an_annotation_set_later_is_checked_too(name):
    document = Document(raw_text="Ana", id="d7")
    with pytest.raises(InvalidDocumentError, match=r"document 'd7'.*3 characters"):
        getattr(document, f"with_{name}")(Annotation(spans=(ROME,)))


def test_gold_and_predicted_are_apart():
    gold, predicted = Annotation(spans=(ROME,)), Annotation(categories=(Category(label="x", score=0.5),))
    document = Document(raw_text=TEXT).with_gold(gold)
    assert (document.gold, document.predicted) == (gold, None)
    both = document.with_predicted(predicted, coverage=Coverage(characters=17, read=17, windows=1))
    assert (both.gold, both.predicted) == (gold, predicted)
    assert both.with_gold(None).predicted == predicted
    assert both.with_predicted(None).gold == gold


def test_what_a_server_receives_has_no_annotation_and_no_edits():
    document = StripHtml()(Document(raw_text="<b>Ana</b>", id="d", gold=Annotation(), metadata={"a": [1]}))
    bare = document.unannotated()
    assert bare == Document(raw_text="<b>Ana</b>", id="d", metadata={"a": [1]})
    assert (bare.text, document.text) == ("<b>Ana</b>", "Ana")


def test_exact_json():
    document = StripHtml()(
        Document(raw_text="<b>Ana</b>", id="d", gold=Annotation(spans=(Span(start=3, end=6, label="P"),)))
    )
    data = json.loads(document.model_dump_json(exclude_defaults=True))
    assert data["raw_text"] == "<b>Ana</b>"
    assert data["gold"] == {"spans": [{"start": 3, "end": 6, "label": "P"}]}
    assert data["edits"] == [{"transform": "strip_html", "version": 2, "edits": [[0, 3, ""], [6, 10, ""]]}]
    assert Document.model_validate(data) == document
    assert document.edits[0].edits[0] == Edit(0, 3, "")


def test_the_json_of_edits_does_not_depend_on_how_they_were_found():
    document = ReplaceRegex(pattern=" +", replacement=" ")(Document(raw_text="Ana  lives  in Rome"))
    record = {"transform": "replace_regex", "version": 1, "edits": [[3, 5, " "], [10, 12, " "]]}
    assert json.loads(document.model_dump_json())["edits"] == document.model_dump(mode="json")["edits"] == [record]
    assert Document.model_validate_json(document.model_dump_json()) == document


@settings(max_examples=examples(200))
@given(documents())
def test_json_without_defaults_is_the_same_document(document):
    assert Document.model_validate_json(document.model_dump_json(exclude_defaults=True)) == document


def test_edits_that_do_not_fit_the_text_are_an_error_when_the_text_is_asked_for():
    record = {"transform": "x", "version": 1, "edits": [[0, 99, ""]]}
    document = Document(raw_text="Ana", edits=[record])
    with pytest.raises(ValueError, match="the text has 3 characters"):
        _ = document.text


def test_the_json_schema_describes_every_field():
    schema = Document.model_json_schema()
    assert set(schema["properties"]) == set(Document.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["raw_text"]
    assert set(schema["$defs"]) >= {"Annotation", "Category", "Coverage", "EditRecord", "Relation", "Span"}
    assert json.loads(json.dumps(schema)) == schema


def test_a_document_does_not_change():
    document = Document(raw_text=TEXT)
    with pytest.raises(ValidationError, match="frozen"):
        document.raw_text = "other"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("Hi", Document(raw_text="Hi", id="7")),
        ({"raw_text": "Hi"}, Document(raw_text="Hi", id="7")),
        ({"raw_text": "Hi", "id": "a"}, Document(raw_text="Hi", id="a")),
        ({"raw_text": "Hi", "id": None}, Document(raw_text="Hi", id="7")),
        (Document(raw_text="Hi"), Document(raw_text="Hi", id="7")),
        (Document(raw_text="Hi", id="a"), Document(raw_text="Hi", id="a")),
    ],
)
def test_texts_and_mappings_become_documents(item, expected):
    assert as_document(item, default_id="7") == expected


@pytest.mark.parametrize(
    ("coverage", "complete"),
    [({}, True), ({"truncated": True}, False), ({"unread": ((0, 1),)}, False), ({"unread_pair": ((0, 1),)}, False)],
)
def test_coverage_is_complete_when_nothing_was_left_out(coverage, complete):
    assert Coverage(characters=3, read=3, windows=1, **coverage).complete is complete
