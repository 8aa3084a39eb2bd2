"""What a configuration names becomes Documents, from any kind of file."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from nlp_inference.errors import InvalidDocumentError, MissingExtraError
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.sources import DataSource, load_documents
from nlp_training.data.synthetic_pii.pools import load_pools


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    yield lambda source, **options: load_documents(source, cache_dir=tmp_path / "cache", **options)
    datasets.enable_progress_bars()


def write_csv(name: str, *rows: tuple[object, ...], delimiter: str = ",") -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return name


def write_parquet(name: str, columns: dict[str, list[object]], features: dict[str, object]) -> str:
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(name)
    return name


def test_csv(load):
    write_csv("a.csv", ("text", "label"), ("hello, you", "greeting"), ("bye", "farewell"))
    documents = load("a.csv")
    assert [(d.id, d.raw_text, d.gold.categories[0].label) for d in documents] == [
        ("a.csv:2", "hello, you", "greeting"),
        ("a.csv:3", "bye", "farewell"),
    ]


def test_tsv_with_spans_in_json(load):
    spans = json.dumps([{"start": 0, "end": 3, "label": "P"}])
    write_csv("a.tsv", ("id", "body", "found"), ("x", "Ana is here", spans), delimiter="\t")
    [document] = load({"path": "a.tsv", "columns": {"text": "body", "spans": "found"}})
    assert (document.id, document.surface(document.gold.spans[0])) == ("x", "Ana")


def test_json_array_keeps_the_other_columns_as_metadata(load):
    Path("a.json").write_text(json.dumps([{"text": "hi", "label": "a", "channel": "mail", "age": 3}]))
    [document] = load("a.json")
    assert document.metadata == {"channel": "mail", "age": 3, "read_from": "a.json row 1"}


def test_class_labels_of_parquet_become_names(load):
    names = datasets.ClassLabel(names=["no", "yes"])
    features = {"text": datasets.Value("string"), "label": names}
    write_parquet("a.parquet", {"text": ["a", "b", "c"], "label": [1, 0, -1]}, features)
    gold = [document.gold for document in load("a.parquet")]
    assert [annotation and annotation.categories[0].label for annotation in gold] == ["yes", "no", None]


def test_class_labels_of_tags_become_names(load):
    features = {
        "tokens": datasets.List(datasets.Value("string")),
        "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-LOC", "I-LOC"])),
    }
    write_parquet("a.parquet", {"tokens": [["in", "New", "York"]], "ner_tags": [[0, 1, 2]]}, features)
    [document] = load("a.parquet")
    assert [(s.start, s.end, s.label) for s in document.gold.spans] == [(3, 11, "LOC")]


def test_class_labels_of_spans_become_names(load):
    span = {
        "start": datasets.Value("int32"),
        "end": datasets.Value("int32"),
        "label": datasets.ClassLabel(names=["CITY", "PERSON"]),
    }
    features = {"text": datasets.Value("string"), "spans": datasets.List(span)}
    write_parquet("a.parquet", {"text": ["Ana"], "spans": [[{"start": 0, "end": 3, "label": 1}]]}, features)
    [document] = load("a.parquet")
    assert document.gold.spans[0].label == "PERSON"


def test_label_names_stand_for_integers(load):
    write_csv("a.csv", ("text", "label"), ("x", 1))
    [document] = load({"path": "a.csv", "label_names": ["no", "yes"]})
    assert document.gold.categories[0].label == "yes"
    with pytest.raises(InvalidDocumentError, match=r"a\.csv:2: label contains 1; .* The 1 names are no"):
        load({"path": "a.csv", "label_names": ["no"]})


def test_a_split_may_be_a_slice(load):
    text = {"text": datasets.Value("string")}
    write_parquet("a.parquet", {"text": [f"text {number}" for number in range(10)]}, text)
    assert len(load({"path": "a.parquet", "split": "train[:30%]"})) == 3


def test_jsonl_is_read_by_our_own_reader(load):
    Path("a.jsonl").write_text('{"text": "a", "intent": "b"}\n')
    [document] = load({"path": "a.jsonl", "columns": {"label": "intent"}})
    assert (document.id, document.gold.categories[0].label) == ("a.jsonl:1", "b")


def test_a_folder_counts_as_a_data_set_and_its_ids_name_the_split(load):
    Path("set").mkdir()
    for split in ("train", "test"):
        write_csv(f"set/{split}.csv", ("id", "text", "label"), (0, f"a {split} text", "x"))
    assert [document.id for document in load("set", default_split="test")] == ["test/0"]
    assert [document.id for document in load({"path": "set", "split": "train"})] == ["train/0"]


def test_synthetic_documents(load):
    documents = load({"synthetic_pii": {"split": "test", "size": 3, "seed": 5}})
    assert [document.id for document in documents] == ["test-5-0", "test-5-1", "test-5-2"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.jsonl", "the file 'missing.jsonl' does not exist in "),
        ("missing.csv", "the file 'missing.csv' does not exist in "),
        ("a.txt", "the suffix of 'a.txt' does not determine its format; set the format, as in {path: a.txt, format"),
        ({"path": "a.jsonl", "split": "train"}, "a.jsonl: split cannot be used with the format 'jsonl'; remove it"),
        ({"path": "a.csv", "format": "cvs"}, "unknown format 'cvs'; did you mean 'csv'?"),
        (
            {"path": "a.csv", "format": "brat", "columns": {"text": "utterance"}},
            "columns cannot be used with the format 'brat'",
        ),
        (
            {"path": "a.csv", "columns": {"label": "intent"}},
            "a.csv: there is no column 'intent' for 'label'; the columns ",
        ),
        ("a.csv", "a.csv: there is neither a text nor tokens; the columns are: 'utterance', 'label'"),
        ({"path": "a.csv", "split": "test"}, "a.csv: split cannot be used with the format 'csv'"),
        ({"path": "a.parquet", "split": "test"}, "a.parquet cannot be loaded: ValueError: Unknown split"),
        ("a.json", "a.json cannot be loaded: "),
        ({}, "set either path, synthetic_pii or mix"),
        ({"path": "a.csv", "colums": {}}, "unknown key 'colums'; did you mean 'columns'?"),
        ({"synthetic_pii": {"split": "test", "size": 1}, "split": "x"}, "split: not allowed with synthetic_pii"),
        ({"synthetic_pii": {"split": "dev", "size": 1}}, "synthetic_pii.split: "),
        ({"synthetic_pii": {"split": "test", "size": 0}}, "synthetic_pii.size: "),
    ],
)
def test_a_source_that_cannot_be_read(load, source, message):
    Path("a.jsonl").write_text('{"text": "a"}\n')
    Path("a.json").write_text("{")
    Path("a.txt").write_text("Ana\tB-PERSON\n")
    write_csv("a.csv", ("utterance", "label"), ("x", 1))
    write_parquet("a.parquet", {"text": ["x"]}, {"text": datasets.Value("string")})
    with pytest.raises(InvalidDataError) as error:
        load(source)
    assert message in str(error.value)


def test_a_hub_that_cannot_be_reached(load, monkeypatch):
    def unreachable(*arguments, **options):
        raise ConnectionError("Couldn't reach 'someone/something' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    message = r"someone/something \[train\] cannot be loaded: ConnectionError: Couldn't reach .* use a local file"
    with pytest.raises(InvalidDataError, match=message):
        load("someone/something")


def test_a_hub_data_set_is_asked_for_with_everything_that_names_it(load, monkeypatch):
    asked = []

    def load_dataset(*arguments, **options):
        asked.append((*arguments, {key: options[key] for key in ("name", "split", "revision")}))
        return datasets.Dataset.from_dict({"text": ["hi"], "label": ["a"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    [document] = load({"path": "some/set", "name": "en", "revision": "v1"}, default_split="validation")
    assert asked == [("some/set", {"name": "en", "split": "validation", "revision": "v1"})]
    assert document.id == "some/set [validation] row 1"


def test_a_source_is_a_string_or_a_mapping():
    assert DataSource.model_validate("some/set") == DataSource(path="some/set")
    assert DataSource.model_validate_json(DataSource(path="a.csv").model_dump_json()) == DataSource(path="a.csv")


def test_a_missing_extra_is_named(load, monkeypatch):
    Path("a.json").write_text("[]")
    load_pools.cache_clear()
    for package, extra, source in [
        ("datasets", "train", "a.json"),
        ("faker", "quickstart", {"synthetic_pii": {"split": "test", "size": 1}}),
    ]:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(
            MissingExtraError, match=rf"'{package}' is required but not installed.* \"nlp-inference\[{extra}\]"
        ):
            load(source)


def test_the_room_is_light_until_something_is_loaded():
    script = "import sys, nlp_training.data; print({'torch', 'datasets', 'faker'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_records_that_cannot_be_read_are_told_and_left_out_if_somebody_listens(name, tmp_path):
    file = tmp_path / name
    lines = {
        "rows.csv": ["text,spans", 'Rome,"[]"', "Oslo,?", 'Lima,"[]"'],
        "rows.jsonl": ['{"text": "Rome", "spans": []}', '{"text": "Oslo", "spans": "?"}', '{"text": "Lima"}'],
    }
    file.write_text("\n".join(lines[name]))
    errors: list[InvalidDocumentError] = []
    documents = load_documents(file, cache_dir=tmp_path / "cache", on_error=errors.append)
    assert [document.raw_text for document in documents] == ["Rome", "Lima"]
    assert len(errors) == 1
    assert str(errors[0]).startswith(f"{file}:3: " if name == "rows.csv" else f"{file}:2: ")
    with pytest.raises(InvalidDocumentError, match="span 0 is"):
        load_documents(file, cache_dir=tmp_path / "cache")
