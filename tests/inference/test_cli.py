"""`nlp-inference predict`: lines in, JSON Lines out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlp_inference.cli import app
from nlp_inference.document import Document
from nlp_inference.errors import MissingExtraError

runner = CliRunner()


def _predict(*arguments: str, stdin: str | None = None) -> list[dict[str, object]]:
    result = runner.invoke(app, ["predict", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.split("\n") if line]


def test_text_lines_and_json_lines_become_json_lines_in_order(saved_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text('Ana lives in Rome\n\n{"id": "x", "text": "<b>Bo</b>", "metadata": {"a": 1}}\n', encoding="utf-8")
    first, second = _predict(str(saved_model), str(source))
    assert (first["id"], first["raw_text"]) == ("0", "Ana lives in Rome")
    assert (second["id"], second["raw_text"], second["metadata"]) == ("x", "<b>Bo</b>", {"a": 1})
    assert Document.model_validate(second).text == "Bo"


def test_standard_input_and_an_output_file(saved_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert _predict(str(saved_model), "-", "--output", str(output), stdin="Hello\n") == []
    assert json.loads(output.read_text())["raw_text"] == "Hello"


def test_a_line_separator_inside_a_text_does_not_split_it(saved_model: Path) -> None:
    [record] = _predict(str(saved_model), "-", stdin='{"text": "a\\u2028b\\u0085c"}\n')
    assert record["raw_text"] == "a\u2028b\u0085c"


def test_a_document_that_fails_is_recorded_with_its_id_and_the_rest_goes_on(saved_model: Path) -> None:
    lines = '{"id": "bad", "text": "a", "predicted": {"spans": [{"start": 0, "end": 9, "label": "X"}]}}\nHello\n'
    bad, good = _predict(str(saved_model), "-", stdin=lines)
    assert bad["id"] == "bad"
    assert bad["error"] == "InvalidDocumentError"
    assert good["raw_text"] == "Hello"


def test_show_highlights_in_place_of_json(saved_model: Path) -> None:
    result = runner.invoke(app, ["predict", str(saved_model), "-", "--show"], input="Ana lives in Rome\n")
    assert result.exit_code == 0, result.output
    assert "Ana" in result.stdout
    assert not result.stdout.startswith("{")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": 1', "not valid JSON"),
        (b"{name}, hello", "must be a JSON object"),
        (b'{"txt": "a"}', "no 'text'"),
        (b"caf\xe9", "byte 3 of the line is not UTF-8"),
        (b'{"text":' + b"[" * 200_000, "nested too deeply"),
    ],
    ids=["cut off", "text", "no text", "latin-1", "nested"],
)
def test_a_line_that_cannot_be_read_is_recorded_and_the_lines_around_it_are_predicted(
    saved_model: Path, tmp_path: Path, line: bytes, message: str
) -> None:
    source = tmp_path / "in.txt"
    source.write_bytes(b"Rome\n" + line + b"\nParis\n")
    rome, bad, paris = _predict(str(saved_model), str(source))
    assert [rome["raw_text"], paris["raw_text"]] == ["Rome", "Paris"]
    assert (bad["id"], bad["error"]) == (f"{source}:2", "InvalidDocumentError")
    assert message in str(bad["message"])


def test_with_raise_what_came_before_is_written_and_the_line_is_named_on_one_line(saved_model: Path) -> None:
    arguments = ["predict", str(saved_model), "-", "--on-error", "raise"]
    result = runner.invoke(app, arguments, input="Rome\n{bad\nParis\n")
    assert result.exit_code == 1
    assert [json.loads(line)["raw_text"] for line in result.stdout.splitlines()] == ["Rome"]
    [said] = result.stderr.splitlines()
    assert said.startswith("PredictionError: document '<stdin>:2': not valid JSON")


def test_an_output_that_is_the_source_is_refused_before_it_is_emptied(saved_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("Rome\n")
    (tmp_path / "link.txt").symlink_to(source)
    result = runner.invoke(app, ["predict", str(saved_model), str(source), "-o", str(tmp_path / "link.txt")])
    assert result.exit_code == 2
    assert "is also the source" in re.sub(r"[│\s]+", " ", result.stderr)  # shown in a box
    assert source.read_text() == "Rome\n"


def _in_a_shell(*arguments: str, stdin: bytes, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nlp_inference.cli", "predict", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)


def test_the_command_speaks_utf_8_in_any_locale_and_keeps_the_libraries_quiet(saved_model: Path) -> None:
    done = _in_a_shell(str(saved_model), "-", stdin="Łódź\n".encode(), encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode("utf-8"))["raw_text"] == "Łódź"


@pytest.mark.parametrize(
    ("model", "options"),
    [("missing/folder/of/a/model", ()), ("org/not-downloaded", ()), (None, ("--device", "toaster"))],
)
def test_a_model_that_cannot_be_loaded_is_one_line(saved_model: Path, model: str | None, options: tuple[str]) -> None:
    done = _in_a_shell(model or str(saved_model), "-", *options, stdin=b"Rome\n")
    assert (done.returncode, done.stdout) == (1, b"")
    [said] = done.stderr.decode().splitlines()
    assert said.startswith(f"cannot load the model {model or str(saved_model)!r}: ")


@pytest.mark.extra
def test_without_its_extra_the_command_says_in_one_line_how_to_install_it(
    saved_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(module: str, *, extra: str) -> None:
        raise MissingExtraError(f'{module!r} is not installed: pip install "nlp-inference[{extra}]"')

    monkeypatch.setattr("nlp_inference.backends.descriptors.require", absent)
    result = runner.invoke(app, ["predict", str(saved_model), "-"], input="Rome\n")
    assert result.exit_code == 1
    [said] = result.stderr.splitlines()
    assert said.endswith('pip install "nlp-inference[torch]"')


@pytest.mark.extra
def test_the_quickstart_shows_messy_texts_and_keeps_the_libraries_quiet(saved_model: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "show_quickstart.py"
    done = subprocess.run([sys.executable, str(script), str(saved_model)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "redacted:" in done.stdout.decode()


def test_a_model_that_is_not_there_is_an_error_without_traceback(tmp_path: Path) -> None:
    result = runner.invoke(app, ["predict", str(tmp_path / "none"), "-"], input="Hello\n")
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
