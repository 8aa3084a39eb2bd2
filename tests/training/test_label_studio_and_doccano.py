"""What the editors of Label Studio and doccano make and keep, and so how their files are read and written.

Label Studio quotes what a browser shows and counts characters, doccano's editor counts UTF-16 code units; a project of
doccano imports one form of records, and Label Studio's editor one result of choices: `exports/README.md`.
"""

import json
from pathlib import Path

import pytest

from nlp_inference.document import Annotation, Category, Document, Relation, Span
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import load_documents, write_documents


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read_task(text, *result):
    Path("a.json").write_text(json.dumps([{"data": {"text": text}, "annotations": [{"result": result}]}]))
    [document] = load_documents({"path": "a.json", "format": "label-studio"})
    return document


def read_record(record, format_name):
    Path("a.jsonl").write_text(json.dumps(record))
    return load_documents({"path": "a.jsonl", "format": format_name})


def written(documents, format_name):
    write_documents(documents, "written", format_name=format_name)
    return Path("written").read_text(encoding="utf-8")


def quoting(start, end, quoted):
    return {"id": quoted, "type": "labels", "value": {"start": start, "end": end, "text": quoted, "labels": ["CITY"]}}


@pytest.mark.parametrize(
    ("start", "end", "quoted", "found_at"),
    [
        (2, 13, r"Rome\n\nParis", (2, 13)),  # as the editor quotes line breaks, in characters
        (3, 14, r"Rome\n\nParis", (2, 13)),  # and in UTF-16
        (15, 20, r"at\nx", (15, 20)),  # what stands there is a backslash and an n, and no line break
        (13, 17, "at", (13, 17)),  # white space that a browser does not show
        (21, 24, " b ", (20, 23)),  # to the letter in UTF-16; in characters it is "b  "
    ],
)
def test_label_studio_quotes_what_a_browser_shows(start, end, quoted, found_at):
    document = read_task("😀 Rome\r\nParis  at\\nx b  ", quoting(start, end, quoted))
    assert [(span.start, span.end) for span in document.gold.spans] == [found_at]


def test_what_label_studio_quotes_has_to_stand_there():
    with pytest.raises(InvalidDocumentError, match="the text at 2:6 is 'Rome', not 'Roma'"):
        read_task("😀 Rome", quoting(2, 6, "Roma"))


def linked(**link):
    ends = {"type": "relation", "from_id": "Ana", "to_id": "Rome"}
    return read_task("Ana Rome", quoting(0, 3, "Ana"), quoting(4, 8, "Rome"), {**ends, **link}).gold.relations


@pytest.mark.parametrize(
    ("direction", "ends"), [("right", [(0, 1)]), ("left", [(1, 0)]), ("bi", [(0, 1), (1, 0)]), (None, [(0, 1)])]
)
def test_a_relation_of_label_studio_has_a_direction_and_labels(direction, ends):
    given = {} if direction is None else {"direction": direction}
    labelled = [Relation(head=head, tail=tail, label=label) for head, tail in ends for label in ("in", "of")]
    assert linked(labels=["in", "of"], **given) == tuple(labelled)
    assert linked(**given) == tuple(Relation(head=head, tail=tail, label="") for head, tail in ends)


def test_a_region_needs_an_id_only_for_relations():
    without = {key: value for key, value in quoting(0, 3, "Ana").items() if key != "id"}
    assert [span.start for span in read_task("Ana Rome", without).gold.spans] == [0]


def test_a_relation_of_no_known_direction_is_refused():
    with pytest.raises(
        InvalidDocumentError, match="a relation has the direction 'up'; expected one of right, left, bi"
    ):
        linked(direction="up")


def test_what_the_editor_of_label_studio_keeps_one_result_of_is_written_as_one():
    gold = Annotation(
        spans=(Span(start=0, end=3, label="PER"), Span(start=4, end=8, label="LOC")),
        categories=(Category(label="calm"), Category(label="short")),
        relations=(Relation(head=0, tail=1, label="in"), Relation(head=0, tail=1, label="of")),
        generated=("one", "two"),
    )
    [task] = json.loads(written([Document(raw_text="Ana Rome", gold=gold)], "label-studio"))
    results = {result["type"]: result for result in task["annotations"][0]["result"] if result["type"] != "labels"}
    assert results["choices"]["value"] == {"choices": ["calm", "short"]}
    assert results["textarea"]["value"] == {"text": ["one", "two"]}
    assert (results["relation"]["from_id"], results["relation"]["labels"]) == ("s0", ["in", "of"])
    assert len(task["annotations"][0]["result"]) == 5


def test_choices_of_different_scores_are_results_of_their_own():
    guess = Annotation(categories=(Category(label="calm", score=0.75), Category(label="short", score=0.5)))
    [task] = json.loads(written([Document(raw_text="Ana", predicted=guess)], "label-studio"))
    results = task["predictions"][0]["result"]
    assert [(result["value"], result["score"]) for result in results] == [
        ({"choices": ["calm"]}, 0.75),
        ({"choices": ["short"]}, 0.5),
    ]


@pytest.mark.parametrize(("format_name", "start", "end"), [("doccano", 3, 7), ("doccano-characters", 2, 6)])
def test_doccano_counts_utf_16_unless_it_is_said_to_count_characters(format_name, start, end):
    record = {"text": "😀 Rome", "label": [[start, end, "CITY"]]}
    [document] = read_record(record, format_name)
    assert document.gold.spans == (Span(start=2, end=6, label="CITY"),)
    assert json.loads(written([document], format_name)) == record


@pytest.mark.parametrize(
    ("format_name", "end", "message"),
    [
        ("doccano", 1, "the offset 1 is inside a character"),
        ("doccano-characters", 2, "the offset 2 is outside the text of 1 characters"),
    ],
)
def test_an_offset_that_doccano_cannot_mean_names_both_ways_to_count(format_name, end, message):
    with pytest.raises(InvalidDocumentError) as error:
        read_record({"text": "😀", "label": [[0, end, "A"]]}, format_name)
    assert message in str(error.value)
    assert "doccano counts UTF-16 code units, doccano-characters counts characters" in str(error.value)


ANA = Span(start=0, end=3, label="PER")
SPAN, LABEL = Annotation(spans=(ANA,)), Annotation(categories=(Category(label="calm"),))
LINK = Annotation(spans=(ANA,), relations=(Relation(head=0, tail=0, label="is"),))
ENTITIES = {"entities": [{"id": 0, "label": "PER", "start_offset": 0, "end_offset": 3}]}
IS = {"id": 0, "from_id": 0, "to_id": 0, "type": "is"}


@pytest.mark.parametrize(
    ("annotations", "records"),
    [
        ((SPAN, Annotation(), None), [{"label": [[0, 3, "PER"]]}, {"label": []}, {}]),
        ((LABEL, Annotation(), None), [{"label": ["calm"]}, {"label": []}, {}]),
        ((SPAN, LINK, None), [{**ENTITIES, "relations": []}, {**ENTITIES, "relations": [IS]}, {}]),
        ((SPAN, LABEL, None), [{**ENTITIES, "cats": []}, {"entities": [], "cats": ["calm"]}, {}]),
    ],
)
def test_all_records_for_doccano_have_the_form_that_one_project_imports(annotations, records):
    documents = [Document(raw_text="Ana", gold=gold) for gold in annotations]
    lines = [json.loads(line) for line in written(documents, "doccano").splitlines()]
    assert lines == [{"text": "Ana", **record} for record in records]
    back = load_documents({"path": "written", "format": "doccano"})
    assert tuple(document.gold for document in back) == annotations
