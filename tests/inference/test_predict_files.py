"""`nlp-inference predict` from file to file: what it refuses, where it goes on, what is left when it is stopped."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nlp_inference import Predictor, Processor
from nlp_inference.cli import app
from nlp_inference.files.resuming import progress_file

TEXTS = [f"Ana met {name} in Rome " * (1 + number % 3) for number, name in enumerate(["Bo", "Carla", "Łucja"] * 40)]
runner = CliRunner()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlp_inference.document.inputs.LOOK_AHEAD_DOCUMENTS", 16)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def _predict(*arguments: object, status: int = 0) -> Result:
    result = runner.invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def _said(result: Result) -> str:
    """What stands in a box, on one line."""
    return re.sub(r"[│\s]+", " ", result.stderr)


def _stopped(model: Path, source: Path, output: Path, *, records: int, torn: bytes = b"") -> bytes:
    """Leave what a run leaves that is killed after so many records, and give what it would have written."""
    source.write_bytes(source.read_bytes() + b"\n{bad")
    _predict(model, source, "-o", output, "--on-error", "raise", status=1)
    source.write_bytes(source.read_bytes().removesuffix(b"\n{bad"))
    whole = output.read_bytes()
    output.write_bytes(b"".join(whole.splitlines(keepends=True)[:records]) + torn)
    return whole


def test_a_complete_output_has_no_progress_beside_it(saved_model: Path, source: Path, output: Path) -> None:
    assert _predict(saved_model, source, "-o", output).output == ""
    assert [json.loads(line)["raw_text"] for line in output.read_bytes().splitlines()] == TEXTS
    assert sorted(path.name for path in output.parent.iterdir()) == ["in.txt", "out.jsonl"]


def test_every_item_has_one_record_in_its_place_whatever_becomes_of_it(
    saved_model: Path, source: Path, output: Path
) -> None:
    lines = [b"Rome", b"", b"caf\xe9", b'{"id": "x"}', b'{"id": "y", "text": 5}', b"{", b'{"id": "z", "text": ""}']
    source.write_bytes(b"\n".join(lines))
    result = _predict(saved_model, source, "-o", output)
    records = [json.loads(line) for line in output.read_bytes().splitlines()]
    assert [record["id"] for record in records] == ["0", f"{source}:3", "x", "y", f"{source}:6", "z"]
    assert [record.get("error") is None for record in records] == [True, False, False, False, False, True]
    assert result.stderr == "4 document(s) failed; each is recorded in the output with its id\n"


@pytest.mark.parametrize("records", [0, 1, 15, 16, 17, 100, 120])
@pytest.mark.parametrize("torn", [b"", b'{"raw_text":"Ana met'])
def test_a_resumed_output_has_the_bytes_of_one_that_was_not_stopped(
    records: int, torn: bytes, saved_model: Path, source: Path, output: Path
) -> None:
    whole = _stopped(saved_model, source, output, records=records, torn=torn)
    assert progress_file(output).is_file()
    _predict(saved_model, source, "-o", output, "--resume")
    assert output.read_bytes() == whole
    assert not progress_file(output).exists()


def test_records_of_failed_documents_count_when_a_run_goes_on(saved_model: Path, source: Path, output: Path) -> None:
    source.write_bytes(b"{bad\n" * 20 + source.read_bytes())
    whole = _stopped(saved_model, source, output, records=25)
    assert whole == b""  # --on-error raise stops at the first
    _predict(saved_model, source, "-o", output, "--resume")
    assert len(output.read_bytes().splitlines()) == len(TEXTS) + 20


def test_only_what_shares_batches_with_new_documents_is_predicted_again(saved_model: Path) -> None:
    predictor = Predictor.from_pretrained(saved_model)
    whole = predictor.predict(TEXTS)
    asked: list[int] = []
    predictor.observers.append(lambda traces: asked.append(len(traces)))
    assert list(predictor.stream(TEXTS, skip=40)) == whole[40:]
    assert asked == [16] * 5 + [8]
    assert list(predictor.stream(TEXTS, skip=len(TEXTS))) == []


def test_resume_begins_an_output_that_is_not_there(saved_model: Path, source: Path, output: Path) -> None:
    _predict(saved_model, source, "-o", output, "--resume")
    assert len(output.read_bytes().splitlines()) == len(TEXTS)


def test_a_complete_output_is_not_gone_on_with(saved_model: Path, source: Path, output: Path) -> None:
    _predict(saved_model, source, "-o", output)
    before = output.read_bytes()
    said = _predict(saved_model, source, "-o", output, "--resume", status=1).stderr
    assert f"{str(output)!r} has no out.jsonl.progress.json: it is complete, or was not written by" in said
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            "model",
            r"started with other settings: model [0-9a-f]{64} -> [0-9a-f]{64}; resume it with the original settings",
        ),
        pytest.param(
            "dtype", r"started with other settings: dtype float32 -> bfloat16;", marks=pytest.mark.extra, id="dtype"
        ),
        ("budget", r"started with other settings: token_budget 1024 -> 77;"),
        ("keys", r"started with other settings: text_column None -> body;"),
        ("text", r"record 1 of '.*' has another text than the source: it was started with another source"),
        ("ids", r"record 1 of '.*' has the id '0', but the source 'new': it was started with another source"),
        ("fewer", r"has more records than the source, which has 0 items"),
        ("damaged", r"out.jsonl.progress.json' is damaged; start again with --overwrite"),
    ],
)
def test_an_output_of_something_else_is_not_gone_on_with(
    changed: str, message: str, saved_model: Path, source: Path, output: Path, tmp_path: Path
) -> None:
    _stopped(saved_model, source, output, records=30)
    before, model, options = output.read_bytes(), saved_model, []
    if changed == "model":
        model = shutil.copytree(saved_model, tmp_path / "model")
        Processor.from_pretrained(saved_model, windows={"max_length": 32, "overlap": 6}).save_pretrained(model)
    elif changed == "dtype":
        options = ["--dtype", "bfloat16"]
    elif changed == "budget":
        options = ["--token-budget", "77"]
    elif changed == "keys":
        options = ["--text-column", "body"]
    elif changed == "damaged":
        progress_file(output).write_text("{")
    else:
        lines = {"text": "Oslo\n" * 200, "ids": '{"id": "new", "text": "a"}\n' * 200, "fewer": ""}
        source.write_text(lines[changed])
    said = _predict(model, source, "-o", output, "--resume", *options, status=1).stderr
    assert re.search(message, said), said
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("prepare", "options", "message"),
    [
        ("file", [], "'.*out.jsonl' already exists; resume it with --resume, or replace it with --overwrite"),
        ("folder", [], "'.*out.jsonl' is a folder; name a file, or pass --output-format parquet"),
        ("", ["-o", "DIR/none/out.jsonl"], "the folder '.*none' does not exist; create it, or use another one"),
        ("", ["--resume", "--overwrite"], "--resume cannot be combined with --overwrite or --show"),
        ("", ["--resume", "--show"], "--resume cannot be combined with --overwrite or --show"),
    ],
)
def test_what_would_lose_something_is_refused_before_the_model_is_loaded(
    prepare: str, options: list[str], message: str, source: Path, output: Path, tmp_path: Path
) -> None:
    if prepare == "file":
        output.write_text("kept\n")
    elif prepare == "folder":
        output.mkdir()
    options = [option.replace("DIR", str(tmp_path)) for option in options]
    said = _said(_predict(tmp_path / "no model", source, "-o", output, *options, status=2))
    assert re.search(message.replace(" ", ""), said.replace(" ", "")), said  # a box breaks long paths anywhere
    assert prepare != "file" or output.read_text() == "kept\n"


@pytest.mark.parametrize("options", [["--resume"], ["--overwrite"], ["--output-format", "jsonl.gz"]])
def test_options_about_an_output_need_one(options: list[str], source: Path, tmp_path: Path) -> None:
    said = _said(_predict(tmp_path / "no model", source, *options, status=2))
    assert "apply to a file: name it with --output" in said.replace(" -- ", " --")


def test_a_source_that_is_not_there_is_told_before_the_model_is_loaded(output: Path, tmp_path: Path) -> None:
    [said] = _predict(tmp_path / "no model", tmp_path / "none", "-o", output, status=1).stderr.splitlines()
    assert said.startswith("FileNotFoundError: ")
    assert "none" in said
    assert not output.exists()


def test_overwrite_replaces_and_an_empty_file_needs_no_permission(
    saved_model: Path, source: Path, output: Path
) -> None:
    output.touch()
    _predict(saved_model, source, "-o", output)
    whole = output.read_bytes()
    output.write_text("old\n" * 9000)
    _predict(saved_model, source, "-o", output, "--overwrite")
    assert output.read_bytes() == whole


def test_a_source_that_breaks_off_leaves_what_came_before_and_the_mended_one_goes_on(
    saved_model: Path, source: Path, output: Path
) -> None:
    packed = source.with_suffix(".txt.gz")
    whole = b"".join(gzip.compress(text.encode() + b"\n") for text in TEXTS)
    packed.write_bytes(whole[:-2000])
    said = _predict(saved_model, packed, "-o", output, status=1).stderr.splitlines()
    records = len(output.read_bytes().splitlines())
    assert said[0].startswith(f"SourceError: {str(packed)!r} cannot be read beyond line {records}: EOFError: ")
    assert said[1] == f"{output} contains all predictions so far; continue with --resume"
    assert 0 < records < len(TEXTS)
    packed.write_bytes(whole)
    _predict(saved_model, packed, "-o", output, "--resume")
    assert [json.loads(line)["raw_text"] for line in output.read_bytes().splitlines()] == TEXTS


def test_a_full_disk_is_one_line(saved_model: Path, source: Path) -> None:
    [said] = _predict(saved_model, source, "-o", "/dev/full", status=1).stderr.splitlines()
    assert said == "OutputError: '/dev/full' cannot be written: No space left on device"


@pytest.mark.slow
@pytest.mark.extra
def test_runs_that_are_killed_or_interrupted_at_random_end_in_the_same_bytes(
    saved_model: Path, source: Path, tmp_path: Path
) -> None:
    source.write_text("\n".join(TEXTS * 12), encoding="utf-8")
    driver = Path(__file__).with_name("killed_predictions.py")
    command = [sys.executable, str(driver), str(saved_model), str(source), str(tmp_path), "jsonl"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    whole, killed, interrupted, twice = json.loads(done.stdout)
    assert [one["ends"] for one in (whole, killed, interrupted, twice)] == [[0], [-9, 0], [130, 0], [-9, -9, 0]]
    assert {one["digest"] for one in (killed, interrupted, twice)} == {whole["digest"]}
