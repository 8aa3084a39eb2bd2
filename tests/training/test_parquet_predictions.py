"""`nlp-inference predict` from and to parquet, in groups of rows; pyarrow comes with what training needs."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from nlp_inference.cli import app
from nlp_inference.document import Annotation, Category, Document, FailedDocument, Span
from nlp_inference.document.inputs import UnreadableItem
from nlp_inference.errors import OutputError, SourceError
from nlp_inference.files import parquet
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.parquet import PartsFolder
from nlp_inference.files.parquet_pages import largest_page
from nlp_inference.files.reading import open_source
from nlp_inference.files.records import Columns
from nlp_inference.files.resuming import progress_file
from nlp_training.data import stream_documents

runner = CliRunner()
RESULTS = [Document(id=str(number), raw_text=f"Łódź {number}") for number in range(50)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_OF_A_PART", 20)
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 6)
    monkeypatch.setattr(parquet, "CHARACTERS_OF_A_GROUP", 40)


def _save(path: Path, **columns: object) -> str:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return str(path)


def _predict(*arguments: object, status: int = 0) -> Result:
    result = runner.invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def test_rows_become_items_with_plain_columns_as_metadata(tmp_path: Path) -> None:
    days = pa.array([1, 2, 3], pa.date32())
    columns = {"text": ["Rome", None, ""], "id": [7, 8, None], "lang": ["it", "de", None], "day": days, "x": [[1]] * 3}
    source = _save(tmp_path / "in.parquet", **columns)
    with open_source(source) as opened:
        rome, null, empty = opened.items
        assert (opened.size, opened.read()) == (3, 3)
    assert rome == {"id": "7", "raw_text": "Rome", "metadata": {"lang": "it"}}
    assert empty == {"raw_text": ""}
    assert isinstance(null, UnreadableItem)
    assert (null.id, str(null.cause)) == (
        "8",
        f"{source}:2: no 'text': its value is null; write a string, which may be empty",
    )


def test_columns_can_be_named(tmp_path: Path) -> None:
    source = _save(tmp_path / "in.parquet", body=["Rome"], key=["k"], text=["t"])
    with open_source(source, columns=Columns("body", "key")) as opened:
        assert list(opened.items) == [{"id": "k", "raw_text": "Rome", "metadata": {"text": "t"}}]


@pytest.mark.parametrize(
    ("columns", "named", "message"),
    [
        ({"body": ["a"]}, Columns(), "has no column 'text', only 'body'; name the columns with --text-column"),
        ({"text": ["a"]}, Columns(id="key"), "has no column 'key', only 'text'; name the columns"),
        (
            {"text": [["a"]]},
            Columns(),
            "the column 'text' of .* has the type list<.*>; a text or an id must be a string",
        ),
    ],
)
def test_columns_that_do_not_fit_are_an_error(
    columns: dict[str, object], named: Columns, message: str, tmp_path: Path
) -> None:
    source = _save(tmp_path / "in.parquet", **columns)
    with open_source(source, columns=named) as opened, pytest.raises(SourceError, match=message):
        list(opened.items)


def test_a_torn_file_and_an_empty_folder_are_errors(tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    whole = Path(_save(source, text=["Rome"] * 9)).read_bytes()
    source.write_bytes(whole[:-9])
    with pytest.raises(SourceError, match=r"in.parquet' is not a complete parquet file: "), open_source(str(source)):
        pass
    (tmp_path / "folder").mkdir()
    asked = open_source(str(tmp_path / "folder"), file_format=FileFormat.PARQUET)
    with pytest.raises(SourceError, match=r"has no \*.parquet files; pass a parquet file, or a folder of them"), asked:
        pass


def _write(folder: Path, results: list[Document | FailedDocument]) -> int:
    file = PartsFolder(folder)
    for result in results[file.written :]:
        file.write(result)
    file.close(failed=False)
    return file.written


def _groups(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def test_parts_are_of_so_many_rows_and_their_groups_of_so_many_rows_and_characters(tmp_path: Path) -> None:
    folder = tmp_path / "out.parquet"
    _write(folder, [*RESULTS[:44], Document(id="long", raw_text="a" * 50), *RESULTS[45:]])
    parts = sorted(folder.iterdir())
    assert [part.name for part in parts] == [f"part-0000{number}.parquet" for number in range(3)]
    assert [_groups(part) for part in parts] == [[6, 6, 6, 2], [6, 6, 6, 2], [5, 5]]
    assert pq.read_table(folder)["id"].to_pylist()[43:46] == ["43", "long", "45"]


@pytest.mark.parametrize(("kept", "known"), [(0, 0), (1, 20), (2, 40), (3, 40)])
def test_a_folder_is_gone_on_with_after_its_last_full_part(kept: int, known: int, tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "out"
    _write(whole, RESULTS)
    _write(folder, RESULTS)
    for part in sorted(folder.iterdir())[kept:]:
        part.unlink()
    (folder / ".unfinished.parquet").write_bytes(b"PAR1 torn")
    assert _write(folder, RESULTS) == known
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }


def test_a_row_holds_all_that_a_line_would(tmp_path: Path) -> None:
    predicted = Annotation(
        spans=(Span(start=0, end=3, label="PERSON", score=0.5),), categories=(Category(label="a"),), values={"v": 1.0}
    )
    document = Document(id="7", raw_text="Ana", raw_text_pair="Bo", predicted=predicted, metadata={"n": [1]})
    _write(tmp_path / "out", [document, FailedDocument(id="8", error="ValueError", message="no")])
    row, failed = pq.read_table(tmp_path / "out").to_pylist()
    more = json.loads(row.pop("more"))
    back = {"id": row["id"], "raw_text": row["raw_text"], **more}
    back["predicted"] |= {"spans": row["spans"], "categories": row["categories"]}
    assert Document.model_validate(back) == document
    assert {name: value for name, value in failed.items() if value is not None} == {
        "id": "8",
        "error": "ValueError",
        "message": "no",
    }


def test_a_damaged_part_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path / "out", RESULTS)
    (tmp_path / "out" / "part-00000.parquet").write_bytes(b"torn")
    with pytest.raises(OutputError, match=r"part-00000.parquet' is damaged: .*; start again with --overwrite"):
        PartsFolder(tmp_path / "out")


def test_the_command_goes_from_parquet_to_parquet_and_on_after_a_stop(saved_model: Path, tmp_path: Path) -> None:
    texts = [f"Ana met Bo in Rome {number}" for number in range(70)]
    source = _save(tmp_path / "in.parquet", body=texts, key=[f"k{number}" for number in range(70)])
    output, options = tmp_path / "out.parquet", ["--text-column", "body", "--id-column", "key"]
    _predict(saved_model, source, "-o", output, *options)
    rows = pq.read_table(output).to_pylist()
    assert [(row["id"], row["raw_text"]) for row in rows] == [(f"k{n}", text) for n, text in enumerate(texts)]
    whole = {path.name: path.read_bytes() for path in output.iterdir()}

    _save(tmp_path / "in.parquet", body=[*texts[:50], None, *texts[51:]], key=[f"k{number}" for number in range(70)])
    _predict(saved_model, source, "-o", output, "--overwrite", "--on-error", "raise", *options, status=1)
    assert pq.read_table(output).num_rows == 50
    assert progress_file(output).is_file()
    _save(tmp_path / "in.parquet", body=texts, key=[f"k{number}" for number in range(70)])
    _predict(saved_model, source, "-o", output, "--resume", *options)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == whole


def test_a_folder_with_other_files_is_not_overwritten(saved_model: Path, tmp_path: Path) -> None:
    source = _save(tmp_path / "in.parquet", text=["Rome"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("kept")
    options = ["-o", tmp_path / "mine", "--output-format", "parquet", "--overwrite"]
    said = _predict(saved_model, source, *options, status=1).stderr
    assert "mine' contains other files than predictions, such as 'letter.txt'; write to another folder" in said
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_without_pyarrow_the_command_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _save(tmp_path / "in.parquet", text=["Rome"])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = _predict(tmp_path / "no model", source, status=1).stderr
    assert 'Install it with: pip install "nlp-inference[parquet]' in said


NAMES = ("raw_text", "text", "text_a", "context")


@pytest.mark.parametrize("pair", [None, "raw_text_pair", "text_pair", "text_b", "question"])
@pytest.mark.parametrize("name", NAMES)
def test_the_usual_names_are_the_same_in_every_format(name: str, pair: str | None, tmp_path: Path) -> None:
    row = {"id": "7", name: "Rome", "topic": "city"} | ({} if pair is None else {pair: "Where?"})
    names, cells = ",".join(row), ",".join(row.values())
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (tmp_path / "a.csv").write_text(f"{names}\n{cells}\n")
    (tmp_path / "a.tsv").write_text(f"{names}\n{cells}\n".replace(",", "\t"))
    _save(tmp_path / "a.parquet", **{key: [value] for key, value in row.items()})
    is_pair = pair is not None and (pair != "question" or name == "context")
    texts = {"raw_text": "Rome"} | ({"raw_text_pair": "Where?"} if is_pair else {})
    metadata = {"topic": "city"} | ({} if is_pair or pair is None else {pair: "Where?"})
    for suffix in ("jsonl", "csv", "tsv", "parquet"):
        with open_source(str(tmp_path / f"a.{suffix}")) as opened:
            assert list(opened.items) == [{"id": "7", **texts, "metadata": metadata}]
        if suffix == "jsonl" and name == "raw_text":
            continue  # for training this is the JSON of a Document, which has no `topic`
        [document] = stream_documents(str(tmp_path / f"a.{suffix}"))
        assert (document.raw_text, document.raw_text_pair) == (texts["raw_text"], texts.get("raw_text_pair"))


def test_the_first_name_with_a_value_is_the_text(tmp_path: Path) -> None:
    row = {"context": "c", "text": None, "raw_text": None, "text_a": "a"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    _save(tmp_path / "a.parquet", **{key: pa.array([value], pa.string()) for key, value in row.items()})
    for suffix in ("jsonl", "parquet"):
        with open_source(str(tmp_path / f"a.{suffix}")) as opened:
            [item] = opened.items
        assert (item["raw_text"], item["metadata"]["context"]) == ("a", "c")


@pytest.mark.parametrize(("unit", "start"), [("utf-16", 3), ("utf-8", 5)])
def test_offsets_in_another_unit_are_in_columns_and_stated(unit: str, start: int, tmp_path: Path) -> None:
    spans = (Span(start=2, end=5, label="PERSON"),)
    document = Document(id="7", raw_text="😀 Ana", predicted=Annotation(spans=spans), metadata={"n": 1})
    file = PartsFolder(tmp_path / "out", offsets=unit)  # type: ignore[arg-type]
    file.write(document)
    file.close(failed=False)
    [row] = pq.read_table(tmp_path / "out").to_pylist()
    assert (row["spans"][0]["start"], row["categories"]) == (start, [])
    more = json.loads(row["more"])
    assert more["offsets"] == unit
    predicted = {**more.pop("predicted"), "spans": row["spans"], "categories": row["categories"]}
    assert Document.from_offsets({"id": "7", "raw_text": row["raw_text"], "predicted": predicted, **more}) == document


WRITERS = [
    {
        "compression": codec,
        "data_page_version": version,
        "use_dictionary": dictionary,
        "write_page_checksum": dictionary,
    }
    for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
    for version in ("1.0", "2.0")
    for dictionary in (True, False)
]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: "-".join(map(str, writer.values())))
def test_the_size_of_the_largest_page_is_read_from_its_header(writer: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    table = pa.table({"text": [f"{number} {'é' * 50}" for number in range(4000)], "lists": [[1, 2]] * 4000})
    pq.write_table(table, path, data_page_size=10_000, write_batch_size=100, row_group_size=3000, **writer)
    metadata = pq.read_metadata(path)
    with path.open("rb") as file:
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for number in range(metadata.num_columns):
                size = largest_page(file, group.column(number))
                assert 0 < size <= group.column(number).total_uncompressed_size
            if not writer["use_dictionary"]:  # a page ends at the first 100 rows beyond its size
                assert 10_000 <= largest_page(file, group.column(0)) < 10_000 + 100 * 120


def test_a_page_that_is_too_large_stops_the_source_after_the_rows_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.parquet"
    schema = pa.schema({"text": pa.string()})
    with pq.ParquetWriter(path, schema, use_dictionary=False, compression="zstd") as writer:
        for size in (10, 10_000):
            writer.write_table(pa.table({"text": ["a" * size] * 20}, schema=schema))
    with open_source(str(path), max_line_bytes=10_000) as opened:
        assert len(list(opened.items)) == 40
    monkeypatch.setattr(parquet, "_LEAST_PAGE_BYTES", 1000)
    monkeypatch.setattr(parquet, "_ROWS_OF_A_PAGE", 10)
    read: list[object] = []
    with open_source(str(path), max_line_bytes=10_000) as opened, pytest.raises(SourceError) as error:
        read.extend(opened.items)
    assert len(read) == 20
    assert "a page of the column 'text'" in str(error.value)
    assert "has 200086 bytes, which are decompressed at once; the limit is 100000" in str(error.value)
    with open_source(str(path), max_line_bytes=None) as opened:
        assert len(list(opened.items)) == 40


def test_damaged_page_headers_are_an_error_of_the_source(tmp_path: Path) -> None:
    whole = Path(_save(tmp_path / "in.parquet", text=["Rome"] * 2)).read_bytes()
    start = pq.read_metadata(tmp_path / "in.parquet").row_group(0).column(0).dictionary_page_offset
    for byte in range(256):
        (tmp_path / "in.parquet").write_bytes(whole[:start] + bytes([byte]) * 8 + whole[start + 8 :])
        with open_source(str(tmp_path / "in.parquet")) as opened, suppress(SourceError):
            list(opened.items)
