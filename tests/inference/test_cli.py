"""`nlp-inference predict`: lines in, JSON Lines out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlp_inference.cli import app
from nlp_inference.document import Document

runner = CliRunner()


def _predict(*arguments: str, stdin: str | None = None) -> list[dict[str, object]]:
    result = runner.invoke(app, ["predict", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.split("\n") if line]


def test_text_lines_and_json_lines_become_json_lines_in_order(saved_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
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
    [('{"text": 1', "<stdin>:1: not valid JSON"), ('{"txt": "a"}', "<stdin>:1: no 'text'")],
)
def test_a_line_that_is_no_document_is_named(saved_model: Path, line: str, message: str) -> None:
    result = runner.invoke(app, ["predict", str(saved_model), "-"], input=line + "\n")
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


def test_a_model_that_is_not_there_is_an_error_without_traceback(tmp_path: Path) -> None:
    result = runner.invoke(app, ["predict", str(tmp_path / "none"), "-"], input="Hello\n")
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
