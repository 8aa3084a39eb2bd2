"""CSV and JSON Lines as people have them: delimiters, encodings, blank labels, shapes of spans, saved data sets."""

import json
import re
from pathlib import Path

import datasets
import pytest

from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import InvalidDataError, load_documents, read_jsonl
from nlp_training.data.errors import DataWarning


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, *lines, encoding="utf-8"):
    shown = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    Path(name).write_bytes("\n".join(shown).encode(encoding))
    return name


def labelled(documents):
    return [(one.raw_text, [category.label for category in one.gold.categories]) for one in documents]


COLUMNS = {"text": "comment", "label": "topic"}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter_is_named_and_set(delimiter):
    write("a.csv", f"comment{delimiter}topic", f'"Late again{delimiter} no refund"{delimiter}delivery')
    with pytest.raises(InvalidDataError) as error:
        load_documents({"path": "a.csv", "columns": COLUMNS})
    assert f"The only column contains {delimiter!r}: is that the delimiter? Set delimiter: {delimiter!r}" in str(
        error.value
    )
    found = load_documents({"path": "a.csv", "columns": COLUMNS, "delimiter": delimiter})
    assert labelled(found) == [(f"Late again{delimiter} no refund", ["delivery"])]


def test_the_line_of_excel_that_names_the_delimiter_is_named():
    write("a.csv", "sep=;", "text;label", "Hi;greeting")
    with pytest.raises(InvalidDataError, match=r"The first line, 'sep=;', is for Excel: remove it. Set delimiter: ';'"):
        load_documents("a.csv")
    with pytest.raises(InvalidDataError, match=r"The first line, 'sep=', is for Excel: remove it. Set delimiter: ';'"):
        load_documents({"path": "a.csv", "delimiter": ";"})


@pytest.mark.parametrize("column", ["Label", " label", "LABEL "])
def test_a_column_whose_name_is_almost_that_of_gold_is_named(column):
    write("a.csv", f"text,{column}", "Hi,greeting", "Bye,farewell")
    said = re.escape(f"2 x the column {column!r} (not 'label'; rename it, or set columns: {{label: {column!r}}})")
    with pytest.warns(DataWarning, match=said):
        assert [one.gold for one in load_documents("a.csv")] == [None, None]
    assert labelled(load_documents({"path": "a.csv", "columns": {"label": column}})) == [
        ("Hi", ["greeting"]),
        ("Bye", ["farewell"]),
    ]


def test_entities_in_a_cell_are_read_or_counted():
    write("a.csv", "text,entities", '"Ana in Rome","[[0, 3, ""PERSON""]]"')
    assert [(one.start, one.end, one.label) for one in load_documents("a.csv")[0].gold.spans] == [(0, 3, "PERSON")]
    write("b.csv", "text,entities", '"Ana in Rome","[(0, 3, None)]"')
    with pytest.warns(DataWarning, match="1 x the key 'entities'"):
        assert load_documents("b.csv")[0].gold is None


def test_the_location_of_a_document_without_an_id_is_named_once():
    write("a.jsonl", {"text": "Ana", "spans": [{"start": 0, "end": 9, "label": "PERSON"}]})
    with pytest.raises(InvalidDocumentError) as error:
        load_documents("a.jsonl")
    assert str(error.value) == (
        "a.jsonl:1: gold span (0, 9, 'PERSON') ends outside the raw text of 3 characters; offsets are code points of "
        "the raw text, end exclusive"
    )


@pytest.mark.parametrize(("delimiter", "encoding"), [(";;", None), ("", None), ("\n", None), (None, "klingon")])
def test_a_delimiter_and_an_encoding_that_are_none_are_refused(delimiter, encoding):
    write("a.csv", "text", "Hi")
    with pytest.raises(InvalidDataError, match=r"the delimiter is|unknown encoding 'klingon'"):
        load_documents({"path": "a.csv", "delimiter": delimiter, "encoding": encoding})


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_another_encoding_is_set(encoding):
    write("a.csv", "text,label", "Der Schuh drückt,product", encoding=encoding)
    suggested = "utf-16" if encoding == "utf-16" else "cp1252"
    with pytest.raises(
        InvalidDataError,
        match=rf"a\.csv is not in UTF-8 \(.*set its encoding, as in \{{path: a\.csv, encoding: {suggested}\}}",
    ):
        load_documents("a.csv")
    found = load_documents({"path": "a.csv", "encoding": encoding})
    assert labelled(found) == [("Der Schuh drückt", ["product"])]


def test_utf8_may_be_named_and_begin_with_a_byte_order_mark():
    write("a.csv", "\ufefftext,label", "Hi,a")
    assert labelled(load_documents({"path": "a.csv", "encoding": "utf-8"})) == [("Hi", ["a"])]


def test_conll_has_encodings_and_no_delimiter():
    write("a.conll", "Málaga B-LOC", encoding="latin-1")
    [document] = load_documents({"path": "a.conll", "encoding": "latin-1"})
    assert document.raw_text == "Málaga"
    with pytest.raises(InvalidDataError, match=r"a\.conll: delimiter cannot be used with the format 'conll'"):
        load_documents({"path": "a.conll", "delimiter": ";"})


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.csv", ["text,label", "Late,delivery", "No idea,", "Space,  ", "Great,product"]),
        (
            "a.jsonl",
            [
                {"text": "Late", "label": "delivery"},
                {"text": "No idea", "label": None},
                {"text": "Space", "label": " "},
                {"text": "Great", "label": "product"},
            ],
        ),
    ],
)
def test_blank_labels_are_skipped_with_a_count(name, lines):
    source = {"path": write(name, *lines), "blank_labels": "skip"}
    with pytest.warns(DataWarning, match=rf"{name}: 2 records with a blank label were skipped \(blank_labels: skip\)"):
        found = load_documents(source)
    assert labelled(found) == [("Late", ["delivery"]), ("Great", ["product"])]
    notes = []
    load_documents(source, on_note=notes.append)
    assert len(notes) == 1
    with pytest.raises(InvalidDocumentError, match=r"label contains ' +'; .*blank_labels: skip"):
        load_documents(name)


def test_blank_labels_of_parquet_are_skipped(tmp_path):
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["x", None]}).to_parquet("a.parquet")
    with pytest.warns(DataWarning, match="1 records with a blank label"):
        found = load_documents({"path": "a.parquet", "blank_labels": "skip"}, cache_dir=tmp_path / "cache")
    assert labelled(found) == [("a", ["x"])]


@pytest.mark.parametrize("key", ["spans", "entities"])
def test_spans_are_lists_as_those_of_spacy(key):
    write("a.jsonl", {"text": "Ana in Rome.", key: [[0, 3, "PER"], [7, 11, "LOC"]]}, {"text": "Nobody", key: []})
    found = load_documents("a.jsonl")
    spans = [[(span.start, span.end, span.label) for span in one.gold.spans] for one in found]
    assert spans == [[(0, 3, "PER"), (7, 11, "LOC")], []]


@pytest.mark.parametrize(
    "entities", [[[0, 3]], [[0, "3", "PER"]], [[3, 0, "PER"]], [[0, 99, "PER"]], [[0.0, 3, "PER"]], [[0, 3, "PER", 1]]]
)
def test_lists_that_are_no_spans_are_refused(entities):
    with pytest.raises(InvalidDocumentError, match=r"a\.jsonl:1: "):
        load_documents(write("a.jsonl", {"text": "Ana in Rome.", "spans": entities}))


def test_entities_that_are_no_spans_are_metadata_and_counted():
    write("a.jsonl", {"text": "Ana", "label": "x", "entities": ["Ana"]})
    with pytest.warns(DataWarning, match="not read as annotations: 1 x the key 'entities'"):
        [document] = load_documents("a.jsonl")
    assert document.metadata["entities"] == ["Ana"]


@pytest.mark.parametrize("key", ["text", "quote", "surface", "mention", "span_text"])
@pytest.mark.parametrize("known_as", ["jsonl", "prodigy", "doccano"])
def test_a_quotation_that_contradicts_the_offsets_is_an_error_with_both(key, known_as):
    edges = ("start_offset", "end_offset") if known_as == "doccano" else ("start", "end")
    name = "entities" if known_as == "doccano" else "spans"

    def load(quote):
        span = dict(zip(edges, (0, 9), strict=True)) | {"label": "PER", key: quote}
        write("a.jsonl", {"text": "Ana Silva lives in Rome.", name: [span]})
        return load_documents({"path": "a.jsonl", "format": known_as})

    assert len(load("Ana Silva")[0].gold.spans) == len(load("Ana\n  Silva ")[0].gold.spans) == 1
    with pytest.raises(InvalidDocumentError) as error:
        load("Silva")
    told = f"the span 0:9 'PER' has the {key} 'Silva', but the text at these offsets is 'Ana Silva'; 'Silva' is at 4:9"
    assert told in str(error.value)
    assert str(error.value).startswith("a.jsonl:1: ")
    with pytest.raises(InvalidDocumentError, match=r"has the .* '', but"):
        load("")


def test_tokens_of_prodigy_are_those_of_the_text():
    token = {"text": "Bob", "start": 0, "end": 3, "id": 0}
    write("a.jsonl", {"text": "Ana", "tokens": [token], "spans": []})
    with pytest.raises(InvalidDocumentError, match="the token 0:3 is 'Bob', but the text at these offsets is 'Ana'"):
        load_documents({"path": "a.jsonl", "format": "prodigy"})


@pytest.mark.parametrize("line", ["[]", '"just a string"', "null", "7", '{"text": null}'])
def test_lines_that_are_no_records_are_refused_with_their_line(line):
    with pytest.raises(InvalidDocumentError, match=r"a\.jsonl:2: "):
        load_documents(write("a.jsonl", {"text": "Ana", "label": "x"}, line))


def test_data_sets_that_were_saved_to_disk():
    train = datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]})
    train.save_to_disk("one")
    datasets.DatasetDict({"train": train, "test": train.select([1])}).save_to_disk("several")
    assert labelled(load_documents("one")) == [("a", ["x"]), ("b", ["y"])]
    assert labelled(load_documents("several", default_split="test")) == [("b", ["y"])]
    assert len(load_documents({"path": "several", "split": "train"})) == 2
    with pytest.raises(InvalidDataError, match=r"several has no split 'dev', only 'train', 'test'"):
        load_documents({"path": "several", "split": "dev"})
    with pytest.raises(InvalidDataError, match="one is a data set without splits"):
        load_documents({"path": "one", "split": "test"})


PRODIGY = {"text": "Ana", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept", "_task_hash": 1}
CAS = '{"%TYPES": {}, "%FEATURE_STRUCTURES": [{"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaString": "Ana"}], "%VIEWS": {}}'
REGION = {"id": "1", "type": "labels", "value": {"start": 0, "end": 3, "text": "Ana", "labels": ["PER"]}}
TASK = {"id": 1, "data": {"text": "Ana"}, "annotations": [{"result": [REGION]}]}
FILES = {
    "tasks.json": json.dumps([TASK], indent=1),
    "prodigy.jsonl": json.dumps(PRODIGY),
    "doccano.jsonl": json.dumps({"id": 1, "text": "Ana", "label": [[0, 3, "PER"]]}),
    "empty_first.jsonl": '{"text": "Bob", "label": []}\n{"text": "Ana", "label": [[0, 3, "PER"]]}',
    "eng.train": "-DOCSTART- -X- O O\n\nAna NNP I-NP B-PER\n",
    "esp.testa": "Bob O\n\nAna B-PER\n",
    "words.txt": "Bob O\n\nAna B-PER\n",
    "anas.tsv": "#FORMAT=WebAnno TSV 3.3\n#T_SP=custom.Span|label\n\n#Text=Ana\n1-1\t0-3\tAna\tPER\t\n",
    "cas.json": CAS,
}


@pytest.mark.parametrize("name", FILES)
def test_formats_are_guessed_where_they_are_certain(name):
    Path(name).write_text(FILES[name])
    documents = load_documents(name)
    assert documents[-1].raw_text == "Ana"
    if name != "cas.json":
        assert [(span.start, span.end, span.label) for span in documents[-1].gold.spans] == [(0, 3, "PER")]


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", FILES["anas.tsv"]), ("a.ann", "T1\tPER 0 3\tAna\n"), ("a.json", CAS)]
)
def test_folders_are_guessed_where_they_are_certain(name, content):
    folder = Path("set")
    folder.mkdir()
    if name == "a.ann":
        (folder / "a.txt").write_text("Ana")
    (folder / name.replace("a.txt", "a.tsv")).write_text(content)
    [document] = load_documents("set")
    assert document.raw_text == "Ana"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.ann", "T1\tPER 0 3\tAna\n", r"for brat pass the folder, as in \{path: \., format: brat\}"),
        ("a.xmi", "<xmi:XMI>", "set the format to uima-cas"),
        ("a.xlsx", "PK", "save it as CSV"),
        ("a.txt", "Ana lives in Rome\n", "set the format, as in"),
        ("a.jsonl", '{"data": {"text": "Ana"}, "annotations": []}', "set the format to label-studio"),
        (
            "a.jsonl",
            '{"text": "Ana \U0001f600", "label": [[0, 3, "PER"]]}',
            "For an export of doccano, set the format to doccano",
        ),
        (
            "a.jsonl",
            '{"text": "Ana", "spans": [{"start_offset": 0, "end_offset": 3, "label": "x"}]}',
            "set the format to doccano",
        ),
    ],
)
def test_where_a_format_is_not_certain_the_message_names_it(name, content, said):
    Path(name).write_text(content)
    with pytest.raises((InvalidDataError, InvalidDocumentError), match=said):
        load_documents(name)


def test_columns_that_are_named_are_not_guessed_away():
    write("a.jsonl", {"text": "Ana", "label": ["x"], "topic": "y"})
    with pytest.warns(DataWarning, match="1 x the key 'label'"):
        assert labelled(read_jsonl("a.jsonl", columns={"label": "topic"})) == [("Ana", ["y"])]


def test_answers_of_one_row_are_read_and_ragged_lists_are_refused():
    row = {"question": "Who?", "context": "Ana met Bo"}
    write("a.jsonl", {**row, "answers": {"text": "Bo", "answer_start": 8}})
    assert [(one.start, one.end) for one in load_documents("a.jsonl")[0].gold.spans] == [(8, 10)]
    write("b.jsonl", {**row, "answers": {"text": ["Bo"], "answer_start": []}})
    with pytest.raises(InvalidDocumentError, match=r"b\.jsonl:1: .* has lists of different lengths"):
        load_documents("b.jsonl")


ODD = (
    *(None, True, 0, -1, 1.5, 10**30, "", " ", "Ana", "[[0, 3", "{}", "NaN", [], {}, [None], [[]], [0], ["Ana"]),
    *(
        [[0, 3]],
        [[0, 3, "P"]],
        [["0", "3", "P"]],
        [[3, 0, "P"]],
        [{"start": 0}],
        [{"head": 0, "tail": 9, "label": "r"}],
    ),
    *({"text": ["Ana"], "start": []}, {"text": "Ana"}, {"start": [0], "end": [3], "label": ["P"]}, {"a": {"b": []}}),
)
KEYS = ("text", "text_pair", "id", "metadata", "spans", "entities", "relations", "label", "labels", "score", "answers")
MORE_KEYS = ("tokens", "tags", "target", "heads", "values", "context", "question", "cats", "answer", "meta")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("TRAIN.CSV", "text,label\nHi,greeting"),
        ("TRAIN.Jsonl", '{"text": "Hi", "label": "greeting"}'),
        ("TRAIN.JSON", '[{"text": "Hi", "label": "greeting"}]'),
        ("tasks.JSON", '[{"id": 1, "data": {"text": "Hi"}, "annotations": []}]'),
    ],
)
def test_the_case_of_a_suffix_has_no_meaning(name, line):
    write(name, line)
    assert [one.raw_text for one in load_documents(name)] == ["Hi"]


@pytest.mark.parametrize("key", [*KEYS, *MORE_KEYS])
@pytest.mark.filterwarnings("ignore::nlp_training.data.errors.DataWarning")
def test_a_value_of_any_type_is_read_or_refused_by_name(key):
    base = {"text": "Ana met Bo", "spans": [[0, 3, "P"]]}
    for odd in ODD:
        for row in (
            {**base, key: odd},
            {"text": "Ana met Bo", key: odd},
            {"context": "Ana", "question": "?", key: odd},
            {"text": "Ana met Bo", "heads": {"place": {key: odd}}},
        ):
            write("a.jsonl", row)
            try:
                list(read_jsonl("a.jsonl"))
            except (InvalidDocumentError, InvalidDataError) as error:
                assert str(error).startswith("a.jsonl"), (row, str(error))  # noqa: PT017 - others are errors too
