"""Exports in the shapes that annotation tools document, and what is refused in them rather than read wrongly.

The shapes are those of https://labelstud.io/guide/task_format and export, of doccano's examples of exports
(https://github.com/doccano/doccano, backend/data_export), of https://prodi.gy/docs/api-interfaces and Prodigy's example
data sets (https://github.com/explosion/prodigy-recipes), and of the two forms of feature structures in
https://github.com/apache/uima-uimaj-io-jsoncas/blob/main/SPECIFICATION.adoc. `test_real_exports` has files that the
tools made.
"""

import json
from pathlib import Path

import pytest

from nlp_inference.document import Annotation, Category, Relation
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import load_documents


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(content, format_name):
    Path("export.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return load_documents({"path": "export.json", "format": format_name})


def found(document):
    return [(document.surface(span), span.label) for span in document.gold.spans]


def region(name, kind, value, **more):
    return {"id": name, "from_name": kind, "to_name": "text", "type": kind, "origin": "manual", "value": value, **more}


PERSON = region("k1aZ", "labels", {"start": 0, "end": 3, "text": "Ana", "labels": ["PER"]})
PLACE = region("Q_9x", "labels", {"start": 13, "end": 17, "text": "Rome", "labels": ["LOC"]})
MOOD = region("zz-1", "choices", {"choices": ["calm"]})
LINK = {"from_id": "k1aZ", "to_id": "Q_9x", "type": "relation", "direction": "right", "labels": ["lives_in"]}


def task(*results, predictions=(), **annotation):
    annotation = {
        "id": 1001,
        "completed_by": 1,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2021-03-09T22:16:08.728353Z",
        "lead_time": 4.288,
        "result_count": 0,
        "task": 1,
        **annotation,
    }
    return {
        "id": 1,
        "data": {"text": "Ana lives in Rome.", "source": "letters"},
        "meta": {},
        "created_at": "2021-03-09T21:52:49.513742Z",
        "project": 83,
        "drafts": [],
        "total_annotations": len(results),
        "annotations": [{**annotation, "result": result} for result in results],
        "predictions": list(predictions),
    }


def test_label_studio_exports_spans_choices_and_relations_of_a_task():
    prediction = {"model_version": "one", "created_ago": "3 hours", "score": 0.7, "result": [{**PERSON, "score": 0.9}]}
    [document] = read([task([PERSON, PLACE, MOOD, LINK], predictions=[prediction])], "label-studio")
    assert (document.id, document.metadata["source"]) == ("1", "letters")
    assert found(document) == [("Ana", "PER"), ("Rome", "LOC")]
    assert document.gold.categories == (Category(label="calm"),)
    assert document.gold.relations == (Relation(head=0, tail=1, label="lives_in"),)
    assert [span.score for span in document.predicted.spans] == [0.9]


def test_label_studio_snapshots_may_hold_ids_of_predictions_and_tasks_that_nobody_annotated():
    [document, skipped, untouched] = read(
        [task([PERSON], predictions=[17, 18]), {**task([], was_cancelled=True), "id": 2}, {**task(), "id": 3}],
        "label-studio",
    )
    assert (document.predicted, found(document)) == (None, [("Ana", "PER")])
    assert (skipped.gold, untouched.gold) == (None, None)


@pytest.mark.parametrize(
    ("exported", "message"),
    [
        (task([PERSON], [PLACE]), "2 annotations that differ; mark one as the ground truth"),
        (
            task([PERSON], predictions=[{"result": [PERSON]}, {"result": [PLACE]}]),
            "2 predictions that differ; export those of one model",
        ),
        (task([PERSON, region("k1aZ", "choices", {"choices": ["sure"]})]), "choices of the region 'k1aZ' instead of"),
        (task([region("a", "textarea", {"start": 0, "end": 3, "text": ["?"]})]), "textarea of the region 'a'"),
        (task([region("a", "hypertextlabels", {"start": "/p[1]"})]), "a region of type 'hypertextlabels'"),
    ],
)
def test_what_label_studio_exports_and_a_document_cannot_hold(exported, message):
    with pytest.raises(InvalidDocumentError) as error:
        read([exported], "label-studio")
    assert message in str(error.value)
    assert str(error.value).startswith("export.json task 1: ")


def test_doccano_exports_of_each_kind_of_project():
    lines = """
{"id": 1, "text": "Peter Blackburn", "label": [[0, 15, "PERSON"]], "Comments": ["sure?"]}
{"id": 2, "text": "Great price.", "label": ["positive"], "Comments": []}
{"id": 3, "text": "From Memphis to Tacoma", "entities": [[5, 12, "City"], [16, 22, "City"]], "cats": ["flight"]}
{"id": 4, "text": "Nothing here", "label": [], "Comments": []}
{"id": 5, "text": "ab", "label": [[0, 1, "X"], [0, 1, "X"]], "meta": {"page": 1}}
"""
    spans, label, intent, empty, twice = read(lines, "doccano")
    assert (found(spans), spans.metadata["Comments"]) == ([("Peter Blackburn", "PERSON")], ["sure?"])
    assert label.gold == Annotation(categories=(Category(label="positive"),))
    assert (found(intent), intent.gold.categories) == (
        [("Memphis", "City"), ("Tacoma", "City")],
        (Category(label="flight"),),
    )
    assert empty.gold == Annotation()
    assert (found(twice), twice.metadata["meta"]) == ([("a", "X")] * 2, {"page": 1})


PRODIGY = {"text": "Ana is here.", "_input_hash": -1080010644, "_task_hash": 1728445858, "answer": "accept"}


def test_prodigy_exports_of_its_interfaces():
    tokens = [{"text": "Ana", "start": 0, "end": 3, "id": 0, "ws": True}]
    span = {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PER"}
    manual = {**PRODIGY, "tokens": tokens, "_view_id": "ner_manual", "_is_binary": False, "spans": [span]}
    options = [{"id": 1, "text": "Positive"}, {"id": 0, "text": "Neutral"}]
    choice = {
        **PRODIGY,
        "options": options,
        "accept": [1],
        "_view_id": "choice",
        "config": {"choice_style": "multiple"},
    }
    teach = {**PRODIGY, "label": "NOTICE", "priority": 0.68, "meta": {"source": "mail", "score": 0.6}, "spans": [span]}
    rejected = {**PRODIGY, "label": "NOTICE", "answer": "reject"}
    named, chosen, taught, no = read(
        "\n".join(map(json.dumps, (manual, choice, {**teach, "_is_binary": True}, rejected))), "prodigy"
    )
    assert found(named) == [("Ana", "PER")]
    assert chosen.gold.categories == (Category(label="1"),)
    assert taught.gold == Annotation(categories=(Category(label="NOTICE"),))
    assert (taught.metadata["source"], taught.metadata["priority"]) == ("mail", 0.68)
    assert (no.gold, no.metadata["label"]) == (None, "NOTICE")


def test_a_yes_to_one_span_is_no_annotation_of_a_text():
    span = {"start": 0, "end": 3, "label": "PER"}
    with pytest.raises(
        InvalidDocumentError, match=r"export\.json:1: an accepted single span \(_is_binary\) does not annotate"
    ):
        read({**PRODIGY, "_view_id": "ner", "_is_binary": True, "spans": [span]}, "prodigy")


def test_a_cas_may_have_its_feature_structures_as_an_object():
    structures = {
        "1": {"%TYPE": "uima.cas.Sofa", "sofaNum": 1, "sofaID": "_InitialView", "sofaString": "Ana is here."},
        "2": {"%TYPE": "uima.tcas.DocumentAnnotation", "@sofa": 1, "begin": 0, "end": 12, "language": "x-unspecified"},
        "3": {"%TYPE": "custom.Span", "@sofa": 1, "begin": 0, "end": 3, "label": "PER"},
        "4": {"%TYPE": "custom.Span", "@sofa": 1, "begin": 7, "end": 11, "label": "WHERE"},
        "5": {"%TYPE": "custom.Relation", "@sofa": 1, "begin": 7, "end": 11, "@Governor": 3, "@Dependent": 4},
    }
    views = {"_InitialView": {"%SOFA": 1, "%MEMBERS": [2, 3, 4, 5]}}
    [document] = read({"%TYPES": {}, "%FEATURE_STRUCTURES": structures, "%VIEWS": views}, "uima-cas")
    assert found(document) == [("Ana", "PER"), ("here", "WHERE")]
    assert document.gold.relations == (Relation(head=0, tail=1, label="Relation"),)
