"""Sets of labels as one column of 0 and 1 per label, and several sets of labels for the same text."""

import json

import pytest

from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import load_documents
from nlp_training.data.columns import Columns
from nlp_training.data.errors import InvalidDataError


def labels_of(document):
    return None if document.gold is None else [category.label for category in document.gold.categories]


def write_csv(folder, *lines):
    file = folder / "train.csv"
    file.write_text("\n".join(["comment,toxic,is_threat,label", *lines]) + "\n")
    return str(file)


def test_csv_has_a_column_per_label(tmp_path):
    path = write_csv(tmp_path, "a,1,0,x", "b,0,0,x", "c,True,1.0,x", "d,,,x")
    documents = load_documents(
        {"path": path, "columns": {"text": "comment", "labels": {"toxic": "toxic", "threat": "is_threat"}}}
    )
    assert [labels_of(document) for document in documents] == [["toxic"], [], ["toxic", "threat"], None]
    assert documents[0].metadata["label"] == "x"  # the usual name of another set of labels is not read
    [*kept] = load_documents(
        {"path": path, "columns": {"text": "comment", "labels": ["toxic", "is_threat"]}, "blank_labels": "skip"},
        on_note=lambda _: None,
    )
    assert [labels_of(document) for document in kept] == [["toxic"], [], ["toxic", "is_threat"]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "a,yes,0,x",
            r"train.csv:3: the column of the label 'toxic' contains 'yes'; write 1 if the text has the label",
        ),
        ("a,1,,x", r"train.csv:3: the column of the label 'is_threat' contains None; write 1"),
    ],
)
def test_a_value_that_is_not_0_or_1_is_named_with_its_line(tmp_path, line, said):
    path = write_csv(tmp_path, "a,1,0,x", line)
    with pytest.raises(InvalidDocumentError, match=said):
        load_documents({"path": path, "columns": {"text": "comment", "labels": ["toxic", "is_threat"]}})


def test_a_column_that_does_not_exist_is_named(tmp_path):
    path = write_csv(tmp_path, "a,1,0,x")
    with pytest.raises(InvalidDataError, match="there is no column 'threat' for the label 'threat'"):
        load_documents({"path": path, "columns": {"text": "comment", "labels": ["toxic", "threat"]}})


def test_json_lines_and_data_sets_have_a_column_per_label(tmp_path):
    datasets = pytest.importorskip("datasets")
    records = [{"text": "a", "joy": 1, "fear": 0}, {"text": "b", "joy": 0, "fear": 1}]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps({**record, "joy": bool(record["joy"])}) + "\n" for record in records))
    datasets.Dataset.from_list(records).to_parquet(str(tmp_path / "train.parquet"))
    for path in (file, tmp_path / "train.parquet"):
        documents = load_documents({"path": str(path), "columns": {"labels": ["joy", "fear"]}})
        assert [labels_of(document) for document in documents] == [["joy"], ["fear"]]


def test_a_named_label_is_read_in_place_of_the_usual_labels():
    available = ["text", "topic", "label", "labels"]
    assert Columns(label="topic").resolve(available) == {"text": "text", "label": "topic"}
    assert Columns(labels="labels").resolve(available) == {"text": "text", "labels": "labels"}
    assert Columns().resolve(available) == {"text": "text", "label": "label", "labels": "labels"}
