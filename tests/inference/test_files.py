"""Files larger than memory: read to where they break, cut to whole records, held against their source."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.inputs import UnreadableItem
from nlp_inference.errors import InvalidSpecError, OutputError, SourceError
from nlp_inference.files import writing
from nlp_inference.files.compression import CODECS
from nlp_inference.files.formats import FileFormat, format_of
from nlp_inference.files.reading import open_source
from nlp_inference.files.records import Columns
from nlp_inference.files.resuming import checked_against
from nlp_inference.files.writing import LinesFile

COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
RESULTS = [Document(id=str(number), raw_text=f"Łódź {number} " * (number % 5)) for number in range(40)]
RESULTS[7] = FailedDocument(id="in:8", error="ValueError", message="bad")
LINE_FORMATS = [FileFormat.LINES, FileFormat.GZIP, FileFormat.BZIP2, FileFormat.XZ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "jsonl"),
        ("a", "jsonl"),
        ("a.jsonl.GZ", "jsonl.gz"),
        ("a.txt.bz2", "jsonl.bz2"),
        ("a.xz", "jsonl.xz"),
        ("a.parquet", "parquet"),
    ],
)
def test_the_format_of_a_suffix(name, expected):
    assert format_of(name) == expected


def test_a_compression_that_is_not_known_is_refused_with_what_to_do():
    with pytest.raises(InvalidSpecError, match=r"'a.jsonl.zst' is not supported; .* `zstd -dc FILE \| "):
        format_of("a.jsonl.zst")


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_lines_are_read_whatever_they_are_compressed_with(suffix, tmp_path):
    compress = COMPRESS.get(suffix, bytes)
    path = tmp_path / f"in.txt{suffix}"
    path.write_bytes(compress("Łódź\n\n".encode()) + compress(b'{"text": "Rome"}\n'))
    with open_source(str(path)) as opened:
        assert (list(opened.items), opened.size, opened.read()) == (
            ["Łódź", {"raw_text": "Rome"}],
            path.stat().st_size,
            path.stat().st_size,
        )


def test_a_format_can_be_named_in_place_of_the_suffix(tmp_path):
    path = tmp_path / "in"
    path.write_bytes(gzip.compress(b"Rome\n"))
    with open_source(str(path), file_format=FileFormat.GZIP) as opened:
        assert list(opened.items) == ["Rome"]


def test_keys_can_be_named_and_what_has_the_usual_names_is_kept_as_metadata(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text(
        '{"body": "Rome", "number": 7, "text": "t", "id": "i"}\nplain\n{"text": "no body", "number": "x"}\n'
    )
    with open_source(str(path), columns=Columns("body", "number")) as opened:
        named, plain, without = opened.items
    assert (named, plain) == ({"id": "7", "raw_text": "Rome", "metadata": {"text": "t", "id": "i"}}, "plain")
    assert isinstance(without, UnreadableItem)
    assert (without.id, str(without.cause)) == (
        "x",
        f"{path}:3: no 'body' among the keys ['number', 'text']; name the key that contains the text: --text-column",
    )


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("damage", ["torn", "no such format"])
def test_a_file_that_breaks_off_gives_what_came_before_and_says_where(suffix, damage, tmp_path):
    path, lines = tmp_path / f"in.txt{suffix}", [f"text {number}" for number in range(3000)]
    whole = COMPRESS[suffix]("\n".join(lines).encode())
    path.write_bytes(whole[:-1] if damage == "torn" else b"Rome\n" * 9)
    read = []
    with (
        open_source(str(path)) as opened,
        pytest.raises(SourceError, match=r"beyond line \d+: .* it is truncated, or its suffix is wrong"),
    ):
        read.extend(opened.items)
    assert read == lines[: len(read)]


def _write(path, file_format, results):
    file = LinesFile(path, file_format=file_format)
    known = [*file.records()]
    for result in results[file.written :]:
        file.write(result)
    file.close(failed=False)
    return known


@pytest.fixture
def small_members(monkeypatch):
    monkeypatch.setattr(writing, "BYTES_OF_A_MEMBER", 300)


@pytest.mark.parametrize("file_format", LINE_FORMATS)
@pytest.mark.usefixtures("small_members")
def test_a_file_that_is_cut_anywhere_and_gone_on_with_has_the_same_bytes(file_format, tmp_path):
    path = tmp_path / "out"
    _write(path, file_format, RESULTS)
    whole, ids = path.read_bytes(), [result.id for result in RESULTS]

    @given(st.integers(0, len(whole)))
    def check(end):
        path.write_bytes(whole[:end])
        known = _write(path, file_format, RESULTS)
        assert [record["id"] for record in known] == ids[: len(known)]
        assert path.read_bytes() == whole

    check()


@pytest.mark.parametrize("file_format", LINE_FORMATS)
@pytest.mark.usefixtures("small_members")
def test_readers_take_the_members_for_one_file(file_format, tmp_path):
    path = tmp_path / "out"
    _write(path, file_format, RESULTS)
    codec = CODECS.get(file_format)
    with path.open("rb") as file:
        lines = [*(file if codec is None else codec.reader(file))]
    assert [Document.model_validate_json(line) for line in lines if b'"error"' not in line] == [
        result for result in RESULTS if isinstance(result, Document)
    ]


class FullDisk:
    """A file on a disk that takes so many bytes more."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        if not self._room:
            raise OSError(28, "No space left on device")
        written = self._file.write(data[: self._room])
        self._room -= written
        return written

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


@pytest.mark.parametrize("file_format", LINE_FORMATS)
@pytest.mark.parametrize("room", [0, 1, 300, 450])
@pytest.mark.usefixtures("small_members")
def test_on_a_full_disk_what_is_written_is_whole_and_can_be_gone_on_with(file_format, room, tmp_path):
    path = tmp_path / "out"
    _write(path, file_format, RESULTS)
    whole = path.read_bytes()
    path.unlink()
    file = LinesFile(path, file_format=file_format)
    file._file = FullDisk(file._file, room)
    with pytest.raises(OutputError, match="out' cannot be written: No space left on device"):
        for result in RESULTS:
            file.write(result)
    file.close(failed=True)
    left = path.read_bytes()
    assert whole.startswith(left)
    codec = CODECS.get(file_format)
    with path.open("rb") as cut:
        assert all(line.endswith(b"\n") for line in (cut if codec is None or not left else codec.reader(cut)))
    _write(path, file_format, RESULTS)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", ['{"raw_text": "cu', "[]", ""])
def test_a_line_in_the_midst_that_is_no_record_is_an_error_that_names_it(line, tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text(f'{{"id": "0"}}\n{line}\n{{"id": "2"}}\n')
    file = LinesFile(path, file_format=FileFormat.LINES)
    with pytest.raises(OutputError, match=r"out.jsonl:2 is not a prediction.* --overwrite"):
        [*file.records()]
    file.close(failed=True)


ITEMS = ["Rome", {"id": "x", "raw_text": "Oslo"}, Document(raw_text="Bern"), UnreadableItem("in:4", ValueError("no"))]
RECORDS = [
    {"id": "0", "raw_text": "Rome"},
    {"id": "x", "raw_text": "Oslo"},
    {"id": "2", "raw_text": "Bern"},
    {"id": "in:4", "error": "ValueError", "message": "no"},
]


@pytest.mark.parametrize("known", range(5))
def test_items_pass_whose_records_are_theirs(known):
    assert [*checked_against(iter(ITEMS), RECORDS[:known], output="out")] == ITEMS


@pytest.mark.parametrize(
    ("number", "record", "message"),
    [
        (0, {"id": "1", "raw_text": "Rome"}, "record 1 of 'out' has the id '1', but the source '0'"),
        (1, {"id": "y", "raw_text": "Oslo"}, "record 2 of 'out' has the id 'y', but the source 'x'"),
        (1, {"id": "x", "raw_text": "Rome"}, "record 2 of 'out' has another text than the source"),
        (2, {"id": "2", "raw_text": None}, "record 3 of 'out' has another text than the source"),
        (3, {"id": "other:4", "error": "ValueError"}, "record 4 of 'out' has the id 'other:4', but the source 'in:4'"),
    ],
)
def test_another_source_is_found_out(number, record, message):
    records = [*RECORDS[:number], record, *RECORDS[number + 1 :]]
    with pytest.raises(OutputError, match=f"{message}.*: it was started with another source; pass that source"):
        [*checked_against(ITEMS, records, output="out")]


def test_a_source_that_is_shorter_than_its_output_is_found_out():
    with pytest.raises(OutputError, match="'out' has more records than the source, which has 3 items"):
        [*checked_against(ITEMS[:3], RECORDS, output="out")]


def test_what_is_no_file_is_written_too():
    file = LinesFile(Path("/dev/null"), file_format=FileFormat.LINES)
    file.write(RESULTS[0])
    file.close(failed=False)
    assert (file.written, [*file.records()]) == (0, [])
