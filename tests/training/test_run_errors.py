"""What is wrong with a run is said before anything is trained: what, where, and how to mend it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_records import label_records, span_records, write_jsonl
from typer.testing import CliRunner

from nlp_inference.errors import (
    ArtefactError,
    InvalidDocumentError,
    InvalidSpecError,
    NlpInferenceError,
    UnknownTypeError,
)
from nlp_training import RunConfig, train
from nlp_training.cli import app
from nlp_training.data import InvalidDataError


def _with(run: RunConfig, section: str, **values: Any) -> RunConfig:
    content = run.model_dump(exclude_none=True)
    content[section] = {**content[section], **values}
    return RunConfig.model_validate(content)


def _train_file(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> str:
    records = span_records("changed", 4)
    change(records)
    return str(write_jsonl(folder / "changed.jsonl", records))


def _overlap(records: list[dict[str, Any]]) -> None:
    records[1]["spans"].append({"start": 4, "end": 8, "label": "CITY"})


def _outside(records: list[dict[str, Any]]) -> None:
    records[2]["spans"][0]["end"] = 999


def _same_id(records: list[dict[str, Any]]) -> None:
    records[3]["id"] = records[0]["id"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_overlap, InvalidDataError, r"changed\.jsonl:2.*overlap"),
        (_outside, InvalidDocumentError, r"changed\.jsonl:3.*outside"),
        (_same_id, NlpInferenceError, r"changed\.jsonl:4.*changed\.jsonl:1"),
        (list.clear, InvalidDataError, r"train.*(empty|no document)"),
    ],
)
def test_a_mistake_in_the_data_is_told_with_its_place(
    span_run: RunConfig, tmp_path: Path, change: Callable[[list[Any]], None], error: type[Exception], message: str
) -> None:
    run = _with(span_run, "data", train=_train_file(tmp_path, change))
    with pytest.raises(error, match=f"(?s){message}"):
        train(run)


def test_a_label_that_training_never_had_is_told(label_run: RunConfig, tmp_path: Path) -> None:
    records = [*label_records("test", 2), {"id": "new", "text": "Help!", "label": "alarm"}]
    run = _with(label_run, "data", test=str(write_jsonl(tmp_path / "new.jsonl", records)))
    with pytest.raises(InvalidDataError, match=r"(?s)'alarm' does not occur in 'train'.*new\.jsonl:3"):
        train(run)


@pytest.mark.parametrize(
    ("section", "values", "error", "message"),
    [
        ("processor", {"task": "token-clasification"}, UnknownTypeError, "token-clasification"),
        ("processor", {"preprocess": ["strip_htm"]}, UnknownTypeError, "did you mean 'strip_html'"),
        ("processor", {"windows": {"max_length": 9999}}, InvalidSpecError, "the model reads 512 tokens at most"),
        ("training", {"optimiser": "adam"}, InvalidSpecError, "no key 'optimiser'"),
        ("model", {"base": "package:no_such_package/model"}, ArtefactError, "pip install"),
        ("data", {"test": "nowhere.jsonl"}, InvalidDataError, "nowhere.jsonl"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(
    span_run: RunConfig, section: str, values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(_with(span_run, section, **values))


def test_the_command_says_what_is_wrong_and_exits_with_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert "those that ship are in configs/" in " ".join(result.output.split())
    assert "Traceback" not in result.output
