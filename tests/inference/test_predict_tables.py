"""`nlp-inference predict` reads CSV and JSON Lines, and `Predictor.predict` takes the same records."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from nlp_inference import Document, Predictor
from nlp_inference.cli import app
from nlp_inference.document import FailedDocument
from nlp_inference.document.inputs import Columns, UnreadableItem, document_fields
from nlp_inference.errors import InvalidDocumentError, InvalidInputError, InvalidSpecError, PredictionError, SourceError
from nlp_inference.files.provenance import Provenance
from nlp_inference.files.reading import open_source
from nlp_inference.files.resuming import progress_file

runner = CliRunner()


def items_of(path, content, **options):
    data = content if isinstance(content, bytes) else content.encode(options.get("encoding") or "utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    with open_source(str(path), **options) as opened:
        return list(opened.items)


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv.gz", ","), ("A.CSV", ",")])
def test_rows_are_items_by_their_columns(name, delimiter, tmp_path):
    rows = [["id", "text", "lang", "gold"], ["7", f'"Rome{delimiter} ""2""\nlines"', "it", "x"], ["", "", "", ""]]
    content = "\r\n".join(delimiter.join(row) for row in rows)
    first, second = items_of(tmp_path / name, "\ufeff" + content)
    assert first == {
        "id": "7",
        "raw_text": f'Rome{delimiter} "2"\nlines',
        "metadata": {"lang": "it", "gold": "x"},
    }
    assert second == {"raw_text": ""}


def test_columns_delimiter_and_encoding_are_options(tmp_path):
    content = "key;body;text\n1;Málaga;t\n"
    options = {"columns": Columns("body", "key"), "delimiter": ";"}
    expected = [{"id": "1", "raw_text": "Málaga", "metadata": {"text": "t"}}]
    for encoding in ("latin-1", "cp1252", "utf-16", "utf-8", None):
        path = tmp_path / "a.csv"
        path.write_bytes(content.encode(encoding or "utf-8"))
        with open_source(str(path), **options, encoding=encoding) as opened:
            assert list(opened.items) == expected


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("comment,topic\na,b", {}, "has no column 'text', only 'comment', 'topic'; name the columns with --text-"),
        ("comment;topic\na;b", {}, "The only column contains ';': is that the delimiter? Set --delimiter ';'"),
        ("text\na", {"columns": Columns(None, "key")}, "has no column 'key', only 'text'"),
        ("text,text\na,b", {}, "has the column 'text' twice"),
        ("", {}, "is empty; its first line must name the columns"),
        ("text\nM\xe1laga".encode("latin-1"), {}, "is not in UTF-8"),
        ('text\nRome\n"' + "never ends\n" * 99, {"max_line_bytes": 200}, "beyond line 3: a quoted cell does not end"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(content, options, said, tmp_path):
    with pytest.raises(SourceError) as error:
        items_of(tmp_path / "a.csv", content, **options)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,b,c", "3 cells for 2 columns"),
        ('"a"x,b', "quote cells that contain a quote"),
        ("x" * 201 + ",b", "has 204 bytes; the limit is 200"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_failed_item_between_its_neighbors(row, said, tmp_path):
    path = tmp_path / "a.csv"
    before, bad, after = items_of(path, f"text,lang\nRome,it\n{row}\nParis,fr\n", max_line_bytes=200)
    assert (before["raw_text"], after["raw_text"]) == ("Rome", "Paris")
    assert isinstance(bad, UnreadableItem)
    assert bad.id == f"{path}:3"
    assert said in str(bad.cause)


@pytest.mark.parametrize("options", [{"delimiter": ";"}, {"encoding": "cp1252"}])
def test_options_of_tables_are_refused_elsewhere(options, tmp_path):
    with pytest.raises(InvalidSpecError, match="applies to CSV and TSV"):
        items_of(tmp_path / "a.txt", "Rome", **options)
    assert items_of(tmp_path / "a.txt", "text\nRome", file_format="csv", **options) == [{"raw_text": "Rome"}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz", "a.json"])
def test_lines_of_json_lines_that_are_no_objects_are_failed_items(name, tmp_path):
    lines = ['{"text": "Rome"}', '"just a string"', "[]", '{"text": null}', "null", "Ana lives here", '{"text": "b"}']
    first, *bad, last = items_of(tmp_path / name, "\n".join(lines))
    assert (first, last) == ({"raw_text": "Rome"}, {"raw_text": "b"})
    assert [one.id.rpartition(":")[2] for one in bad] == ["2", "3", "4", "5", "6"]
    assert [type(one.cause) for one in bad] == [InvalidDocumentError] * 5
    assert "the line contains []" in str(bad[1].cause)
    assert "no 'text': its value is null" in str(bad[2].cause)


@pytest.mark.parametrize("content", ['[\n{"text": "a"}\n]', '[{"text": "a"}]', '{\n"text": "a"}', "Ana"])
def test_json_that_is_no_json_lines_is_refused(content, tmp_path):
    with pytest.raises(SourceError, match="does not begin with a JSON object on one line"):
        items_of(tmp_path / "a.json", content)


def test_elsewhere_such_lines_are_texts(tmp_path):
    assert items_of(tmp_path / "a.txt", '"Rome"\n[]\nnull') == ['"Rome"', "[]", "null"]


def test_the_command_predicts_a_csv_and_resumes(saved_model, tmp_path):
    source, output = tmp_path / "a.csv", tmp_path / "out.jsonl"
    source.write_bytes("comment;topic\nRome;a\nM\xe1laga;b\n".encode("cp1252"))
    options = ["--text-column", "comment", "--delimiter", ";", "--encoding", "cp1252"]
    result = runner.invoke(app, ["predict", str(saved_model), str(source), "-o", str(output), *options])
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    found = [(one["raw_text"], one["metadata"]) for one in records]
    assert found == [("Rome", {"topic": "a"}), ("Málaga", {"topic": "b"})]


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.csv.gz"])
def test_predictions_are_not_written_as_csv(name, tmp_path):
    (tmp_path / "a.txt").write_text("Rome")
    result = runner.invoke(app, ["predict", "no-model", str(tmp_path / "a.txt"), "-o", str(tmp_path / name)])
    assert result.exit_code == 1
    assert "predictions cannot be written as CSV or TSV" in result.stderr


@pytest.fixture(scope="module")
def predictor(saved_model):
    with Predictor.from_pretrained(saved_model) as predictor:
        yield predictor


RECORDS = [
    {"text": "Rome"},
    {"id": 7, "text": "Rome", "lang": "it", "metadata": {"page": 3}},
    {"id": "b", "text_a": "Rome", "text_b": "Paris"},
    {"raw_text": "Rome", "raw_text_pair": "Paris", "text": "kept"},
    {"id": 1.5, "text": ""},
]
BAD = [{"text": None, "id": "n"}, {"txt": "a"}, {}, {"text": 5}, {"text": "a", "b": 1, "metadata": {"b": 2}}]


def test_a_predictor_takes_what_the_command_takes(predictor, saved_model, tmp_path):
    source, output = tmp_path / "a.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, [*RECORDS, *BAD])))
    assert runner.invoke(app, ["predict", str(saved_model), str(source), "-o", str(output)]).exit_code == 0
    written = [json.loads(line) for line in output.read_text().splitlines()]
    given = predictor.predict([*RECORDS, *BAD], on_error="record")
    shown = [json.loads(one.model_dump_json(exclude_defaults=True)) for one in given]
    assert shown[: len(RECORDS)] == written[: len(RECORDS)]
    assert [one["error"] for one in shown[len(RECORDS) :]] == [one["error"] for one in written[len(RECORDS) :]]
    assert given[len(RECORDS)].id == written[len(RECORDS)]["id"] == "n"


@pytest.mark.parametrize("unit", ["utf-16", "utf-8"])
def test_the_command_writes_offsets_in_another_unit_and_reads_them_back(unit, predictor, saved_model, tmp_path):
    texts = ["😀 Ana Lopez 😀 Rome", "Ana Lopez", "e\u0301 <b>😀</b> Ana"]
    source, output, again = tmp_path / "a.txt", tmp_path / "out.jsonl", tmp_path / "again.jsonl"
    source.write_text("\n".join(texts))
    command = ["predict", str(saved_model), str(source), "-o", str(output), "--offsets", unit]
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.stderr
    expected = predictor.predict(texts)
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert sum(len(one["predicted"]["spans"]) for one in records if "predicted" in one) > 0
    for record, document in zip(records, expected, strict=True):
        assert record["offsets"] == unit
        data = document.raw_text.encode("utf-16-le" if unit == "utf-16" else "utf-8")
        size = 2 if unit == "utf-16" else 1
        for span, own in zip(record["predicted"]["spans"], document.predicted.spans, strict=True):
            surface = data[span["start"] * size : span["end"] * size].decode("utf-16-le" if size == 2 else "utf-8")
            assert surface == document.surface(own)
        assert Document.from_offsets(record).predicted.spans == document.predicted.spans
    assert [one.predicted for one in predictor.predict(records)] == [one.predicted for one in expected]
    assert runner.invoke(app, ["predict", str(saved_model), str(output), "-o", str(again)]).exit_code == 0
    assert "metadata" not in again.read_text()


@pytest.mark.parametrize("name", ["raw_text", "text", "context"])
def test_the_unit_of_offsets_counts_whatever_the_key_of_the_text_is(name):
    spans = {"spans": [{"start": 3, "end": 6, "label": "CITY"}]}
    fields = document_fields({name: "😀 Ana met Bo", "predicted": spans, "offsets": "utf-16", "lang": "en"})
    [span] = Document(**fields).predicted.spans
    assert ((span.start, span.end), fields["metadata"]) == ((2, 5), {"lang": "en"})


def test_an_unknown_unit_of_offsets_is_an_error():
    with pytest.raises(InvalidDocumentError, match="offsets is 'bytes', expected 'codepoint', 'utf-16', 'utf-8'"):
        document_fields({"text": "Ana", "gold": {"spans": []}, "offsets": "bytes"})


def test_offsets_without_annotations_are_metadata():
    assert document_fields({"text": "Ana", "offsets": "bytes"})["metadata"] == {"offsets": "bytes"}


def test_gold_in_another_unit_is_read_in_code_points(predictor):
    gold = Document(raw_text="😀 Ana", gold={"spans": [{"start": 2, "end": 5, "label": "PERSON"}]})
    [found] = predictor.predict([gold.to_offsets("utf-16")])
    assert found.gold == gold.gold
    wrong = {**gold.to_offsets("utf-16"), "gold": {"spans": [{"start": 1, "end": 3, "label": "PERSON"}]}}
    [failed] = predictor.predict([wrong], on_error="record")
    assert "the utf-16 offset 1 is inside character 0" in failed.message
    [other] = predictor.predict([{"text": "😀", "offsets": [[0, 1]]}])
    assert other.metadata == {"offsets": [[0, 1]]}


def test_offsets_are_part_of_what_resuming_compares(saved_model, tmp_path):
    source, output = tmp_path / "a.txt", tmp_path / "out.jsonl"
    source.write_text("Rome")
    command = ["predict", str(saved_model), str(source), "-o", str(output)]
    assert runner.invoke(app, command).exit_code == 0
    settings = Provenance(model="m", backend="torch", dtype="float32", output_format="jsonl", offsets="utf-16")
    progress_file(output).write_text(settings.model_dump_json())
    result = runner.invoke(app, [*command, "--resume"])
    assert result.exit_code == 1
    assert "offsets utf-16 -> codepoint" in " ".join(result.stderr.split())
    shown = runner.invoke(app, [*command, "--overwrite", "--show", "--offsets", "utf-8"])
    assert shown.exit_code == 2


@pytest.mark.parametrize("items", [None, 5, b"Rome"])
def test_what_is_no_collection_is_a_named_error(items, predictor):
    with pytest.raises(InvalidInputError, match="expected several texts, but got"):
        predictor.predict(items)
    with pytest.raises(TypeError):
        predictor.stream(items)


@pytest.mark.parametrize("items", ["Rome", {"text": "Rome"}, Document(raw_text="Rome")])
def test_a_single_text_is_no_stream(items, predictor):
    with pytest.raises(InvalidInputError, match="expected several texts, but got the single one"):
        predictor.stream(items)


@pytest.mark.parametrize("item", [None, 5, b"Rome", ["Rome"], 1.5, True])
def test_an_item_that_is_no_document_is_a_named_error(item, predictor):
    with pytest.raises(PredictionError, match=r"document '1': item 1 is .*; pass a text, a Document or a mapping"):
        predictor.predict(["Rome", item])
    first, failed, last = predictor.predict(["Rome", item, "Paris"], on_error="record")
    assert isinstance(failed, FailedDocument)
    assert (failed.id, failed.error) == ("1", "InvalidDocumentError")
    assert (first.raw_text, last.raw_text) == ("Rome", "Paris")
