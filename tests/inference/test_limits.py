"""One huge document, line or transform is a failed record between its neighbors, in bounded memory."""

import bz2
import gzip
import io
import json
import lzma
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from nlp_inference import Document, Predictor, Processor
from nlp_inference.cli import app
from nlp_inference.document.aligned_text import AlignedText, Cuts, Edit
from nlp_inference.document.inputs import UnreadableItem, look_ahead
from nlp_inference.document.limits import MAX_CHARACTERS, MAX_LINE_BYTES, MAX_OBJECTS, growth_limit
from nlp_inference.errors import InvalidSpecError, PredictionError, SourceError, TooLargeError
from nlp_inference.files.json_lines import TooLongLine, bounded_lines
from nlp_inference.files.reading import open_source
from nlp_inference.files.records import read_items
from nlp_inference.transforms.compose import Compose
from nlp_inference.transforms.function import text_transform

runner = CliRunner()
COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def items_of(path: Path, **options: object) -> list[object]:
    with open_source(str(path), **options) as opened:
        return list(opened.items)


def kinds(items):
    return [type(one.cause).__name__ if isinstance(one, UnreadableItem) else one for one in items]


@given(
    st.lists(st.integers(0, 9), max_size=8),
    st.integers(1, 6),
    st.sampled_from([b"", b"\n"]),
)
def test_bounded_lines_are_the_lines_but_for_those_that_are_too_long(sizes, most, end):
    lines = [b"x" * size + b"\n" for size in sizes]
    content = b"".join(lines) + (b"yy" if not end else b"")
    expected = [line if len(line) - 1 <= most else TooLongLine(len(line)) for line in lines]
    if not end:
        expected.append(b"yy" if most >= 2 else TooLongLine(2))
    assert list(bounded_lines(io.BytesIO(content), max_bytes=most)) == expected
    assert b"".join(bounded_lines(io.BytesIO(content), max_bytes=None)) == content


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_line_that_is_too_long_is_a_failed_item_between_its_neighbors(suffix, tmp_path):
    path = tmp_path / f"in.txt{suffix}"
    path.write_bytes(COMPRESS[suffix](b"before\n" + b"x" * 101 + b"\n" + b"y" * 100 + b"\n\nafter"))
    before, long, fits, after = items_of(path, max_line_bytes=100)
    assert (before, fits, after) == ("before", "y" * 100, "after")
    assert long.id == f"{path}:2"
    assert str(long.cause).startswith(f"{path}:2 has 102 bytes; the limit is 100.")
    assert "--max-line-bytes" in str(long.cause)


@pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESS if suffix])
def test_a_decompression_bomb_does_not_fill_the_memory(suffix, tmp_path):
    path = tmp_path / f"in.txt{suffix}"
    path.write_bytes(COMPRESS[suffix](b"before\n" + bytes(64 << 20) + b"\nafter\n"))
    tracemalloc.start()
    try:
        found = kinds(items_of(path, max_line_bytes=1 << 16))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ["before", "TooLargeError", "after"]
    assert peak < 16 << 20


def test_an_xz_file_that_asks_for_a_huge_dictionary_is_refused(tmp_path):
    path = tmp_path / "in.txt.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    header = lzma.compress(b"Rome\n", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}])
    path.write_bytes(header)
    assert items_of(path) == ["Rome"]
    compressor = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[{**filters[0], "dict_size": 1 << 20}])
    compressor.compress(b"")
    huge = bytearray(header)
    at = huge.index(b"\x21\x01") + 2  # the size of the dictionary in the properties of the LZMA2 filter
    huge[at] = 40  # the largest: 4 GiB
    end = (huge[12] + 1) * 4 + 12
    import zlib

    huge[end - 4 : end] = zlib.crc32(bytes(huge[12 : end - 4])).to_bytes(4, "little")
    path.write_bytes(bytes(huge))
    with pytest.raises(SourceError, match="Memory usage limit exceeded"):
        items_of(path)


@pytest.mark.parametrize("parts", [[b"a\n"], [b"a\n", b"b\n"], [b"a\n", bytes(4), b"b\nc"], [b"a\n", b"", b"c"]])
def test_xz_streams_follow_each_other_with_padding_between(parts, tmp_path):
    path = tmp_path / "in.txt.xz"
    path.write_bytes(b"".join(part if part.strip(b"\0") == b"" and part else lzma.compress(part) for part in parts))
    expected = b"".join(part.strip(b"\0") for part in parts).decode().split()
    assert items_of(path) == expected


def test_json_of_more_objects_than_memory_is_refused_before_it_is_parsed():
    line = '{"text": "a", "x": [' + "[]," * MAX_OBJECTS + "0]}"
    assert kinds(read_items([line, "Rome"], name="in")) == ["TooLargeError", "Rome"]


@pytest.fixture
def predictor(saved_model):
    with Predictor.from_pretrained(saved_model, max_characters=100) as predictor:
        yield predictor


def test_a_document_with_too_many_characters_fails_and_its_neighbors_do_not(predictor):
    items = ["Rome", {"id": "x", "text": "a" * 60, "text_pair": "b" * 41}, Document(raw_text="a" * 101), "a" * 100]
    first, pair, document, last = predictor.predict(items, on_error="record")
    assert (first.raw_text, last.raw_text) == ("Rome", "a" * 100)
    assert (pair.id, pair.error) == ("x", "TooLargeError")
    assert pair.message.startswith("document 'x' has 101 characters; the limit is 100.")
    assert (document.id, document.error) == ("2", "TooLargeError")
    with pytest.raises(PredictionError, match=r"^document '0' has 101 characters"):
        predictor.predict(["a" * 101])


def test_the_limit_goes_with_a_predictor_and_has_a_default(predictor):
    assert predictor.with_processor(predictor.processor).max_characters == 100
    assert Predictor(predictor.processor, predictor.backend).max_characters == MAX_CHARACTERS
    unlimited = Predictor(predictor.processor, predictor.backend, max_characters=None)
    assert unlimited.predict(["a " * 200])[0].predicted is not None
    with pytest.raises(InvalidSpecError, match="max_characters is 0"):
        Predictor(predictor.processor, predictor.backend, max_characters=0)


def test_the_command_records_what_is_too_large_and_resumes_over_it(saved_model, tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = ["Rome", "a" * 300, "b" * 51, "Paris"]
    source.write_text("\n".join(json.dumps({"text": text}) for text in lines))
    options = ["predict", str(saved_model), str(source), "-o", str(output)]
    options += ["--max-line-bytes", "200", "--max-characters", "50"]
    result = runner.invoke(app, options)
    assert result.exit_code == 0, result.stderr
    whole = output.read_bytes()
    records = [json.loads(line) for line in whole.splitlines()]
    assert [record.get("error") for record in records] == [None, "TooLargeError", "TooLargeError", None]
    assert [record["id"] for record in records[1:3]] == [f"{source}:2", "2"]
    # as a process that was killed after three records leaves it
    runner.invoke(app, [*options, "--overwrite"])
    source.write_text(source.read_text() + "\n{")
    assert runner.invoke(app, [*options, "--overwrite", "--on-error", "raise"]).exit_code == 1
    assert runner.invoke(app, [*options, "--resume"]).exit_code == 0
    assert output.read_bytes().startswith(whole)


def test_the_help_states_the_limits():
    said = runner.invoke(app, ["predict", "--help"], env={"COLUMNS": "200"}).stdout
    assert f"default: {MAX_CHARACTERS}" in said
    assert f"default: {MAX_LINE_BYTES}" in said


def doubling(times):
    return Compose([{"replace_regex": {"pattern": "a", "replacement": "aa"}}] * times)


def test_growth_by_transforms_ends_at_a_limit_before_the_memory_is_taken():
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError, match=r"'replace_regex' would expand a text of 1 characters to 1048576"):
            doubling(60)(Document(raw_text="a"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300 << 20
    assert len(doubling(10)(Document(raw_text="a")).text) == 1024


@pytest.mark.parametrize(
    "spec",
    [
        {"pattern": "(a+)", "replacement": "\\1" * 2_000_000},
        {"pattern": "()", "replacement": "x" * 1_000_001},
        {"pattern": "a", "replacement": "x" * 500_001},
        {"pattern": "(?=a)", "replacement": "x" * 500_001},
    ],
)
def test_one_replacement_that_grows_too_much_is_refused(spec):
    with pytest.raises(TooLargeError):
        Compose([{"replace_regex": spec}])(Document(raw_text="aa"))


def test_a_function_that_grows_too_much_is_refused():
    grow = text_transform(name="grow_for_the_limit")(lambda text: text * 1_000_001)
    with pytest.raises(TooLargeError, match="'grow_for_the_limit' would expand a text of 1 characters to 1000001"):
        grow(Document(raw_text="a"))


def test_a_text_may_grow_four_times_and_not_more():
    text = AlignedText("ab" * 200_000)
    most = growth_limit(400_000)
    assert most == 1_600_000
    insert = [Edit(0, 0, "x" * (most - 400_000))]
    assert len(text.edit("one", 1, insert).current) == most
    with pytest.raises(TooLargeError):
        text.edit("one", 1, insert).edit("two", 1, [Edit(0, 0, "x")])
    cuts = Cuts([*["a", "b"] * 200_000, ""], replacement="xyzvwxy")
    assert len(text.edit("cuts", 1, cuts).current) == most
    with pytest.raises(TooLargeError):
        text.edit("cuts", 1, Cuts(cuts.pieces, replacement="xyzvwxyz"))


def test_many_edits_of_many_transforms_end_at_a_limit():
    there = {"replace_regex": {"pattern": "a", "replacement": "b"}}
    back = {"replace_regex": {"pattern": "b", "replacement": "a"}}
    document = Document(raw_text="a" * 300_000)
    assert Compose([there, back, there])(document).text == "b" * 300_000
    with pytest.raises(TooLargeError, match="to 1500000; the limit is 1200000"):
        Compose([there, back, there, back, there])(document)


def test_a_chunk_is_as_large_as_what_is_kept_with_its_texts():
    item = {"text": "a", "metadata": {"x": ["y" * 700_000]}, "text_pair": "z" * 100_000}
    assert [len(chunk.items) for chunk in look_ahead([item] * 7)] == [3, 3, 1]
    circular: list[object] = []
    circular.append(circular)
    assert [len(chunk.items) for chunk in look_ahead([{"metadata": circular}, "Rome"])] == [1, 1]


SCRIPT = """
import resource, sys
from nlp_inference.cli import app
memory = 4 << 30
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
app(sys.argv[1:])
"""


@pytest.mark.slow
def test_an_80_mb_line_and_a_bomb_of_3_gb_leave_their_neighbors_predicted(saved_model, tmp_path):
    source, output = tmp_path / "in.txt.gz", tmp_path / "out.jsonl"
    with gzip.open(source, "wb", compresslevel=1) as file:
        file.write(b"Rome\n" + b"a b " * (20 << 20) + b"\n")
        for _ in range(3000):
            file.write(bytes(1 << 20))
        file.write(b"\nParis\n")
    command = [sys.executable, "-c", SCRIPT, "predict", str(saved_model), str(source), "-o", str(output)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [record.get("error") for record in records] == [None, "TooLargeError", "TooLargeError", None]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 << 20


def test_the_limits_of_a_processor_hold_for_encoding(saved_model):
    loaded = Processor.from_pretrained(saved_model)
    grown = Processor(loaded.tokenizer, loaded.task, [{"replace_regex": {"pattern": "a", "replacement": "aa"}}] * 60)
    with pytest.raises(TooLargeError):
        grown.encode([Document(raw_text="a")])
