"""What is wrong with a run is said before anything is trained: what, where, and how to mend it."""

import warnings
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_up_records import label_records, span_records, write_jsonl
from rich.console import Console
from typer.testing import CliRunner

import nlp_training
from nlp_inference.errors import (
    ArtefactError,
    InvalidDocumentError,
    InvalidSpecError,
    MissingExtraError,
    NlpInferenceError,
    UnknownTypeError,
)
from nlp_training import RunConfig, train
from nlp_training.cli import app
from nlp_training.data import InvalidDataError
from nlp_training.data.errors import DataWarning
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.splits import load_splits


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
        (_same_id, NlpInferenceError, r"changed\.jsonl:4: .*changed\.jsonl:1 already has the id 'changed-0'"),
        (list.clear, InvalidDataError, "train: the split is empty"),
    ],
)
def test_a_mistake_in_the_data_is_told_with_its_place(
    span_run: RunConfig, tmp_path: Path, change: Callable[[list[Any]], None], error: type[Exception], message: str
) -> None:
    run = _with(span_run, "data", train=_train_file(tmp_path, change))
    with pytest.raises(error, match=f"(?s){message}"):
        train(run)


def test_a_label_that_only_a_test_set_has_counts_as_a_miss_with_a_warning(label_run: RunConfig, tmp_path: Path) -> None:
    records = [*label_records("test", 8), {"id": "new", "text": "Help!", "label": "alarm"}]
    run = _with(label_run, "data", test=str(write_jsonl(tmp_path / "new.jsonl", records)))
    run = _with(run, "processor", task={"text-classification": {"top_k": None}})
    run = _with(run, "training", num_train_epochs=1)
    with pytest.warns(DataWarning, match=r"test: the label 'alarm' is not among .* a miss \(1 time.*new\.jsonl:9"):
        result = train(run, console=Console(quiet=True))
    scores = result.metrics["test"]
    assert (scores["per_label"]["alarm"]["recall"], scores["per_label"]["alarm"]["support"]) == (0.0, 1)
    assert scores["ranking"]["per_label"]["alarm"]["roc_auc"] == 0.5
    assert scores["coverage"]["documents"] == 9


def test_a_declared_label_that_only_validation_and_test_have_is_known(label_run: RunConfig, tmp_path: Path) -> None:
    records = [*label_records("test", 4), {"id": "new", "text": "Help!", "label": "alarm"}]
    test = str(write_jsonl(tmp_path / "new.jsonl", records))
    run = _with(label_run, "data", validation=test, test=test)
    labels = ["alarm", "farewell", "greeting", "question"]
    run = _with(run, "processor", task={"text-classification": {"labels": labels}})
    run = _with(run, "training", num_train_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train(run, console=Console(quiet=True))
    assert result.metrics["test"]["per_label"]["alarm"]["support"] == 1


@pytest.mark.parametrize(
    ("section", "values", "error", "message"),
    [
        ("processor", {"task": "token-clasification"}, UnknownTypeError, "token-clasification"),
        ("processor", {"preprocess": ["strip_htm"]}, UnknownTypeError, "did you mean 'strip_html'"),
        ("processor", {"windows": {"max_length": 9999}}, InvalidSpecError, "expected at most 512, the model's limit"),
        ("training", {"optimiser": "adam"}, InvalidSpecError, "no key 'optimiser'"),
        ("training", {"push_to_hub": True}, InvalidSpecError, "push_to_hub would publish .*: nlp-training publish"),
        ("training", {"hub_token": "secret"}, InvalidSpecError, "hub_token would publish .*: nlp-training publish"),
        (
            "training",
            {"hub_model_id": "org/m"},
            InvalidSpecError,
            "hub_model_id would publish .*: nlp-training publish",
        ),
        (
            "training",
            {"train_sampling_strategy": "batch_rebalance"},
            InvalidSpecError,
            "is 'batch_rebalance'; expected one of group_by_length, random, sequential",
        ),
        ("training", {"resume_from_checkpoint": True}, InvalidSpecError, "there is no complete checkpoint in"),
        ("training", {"resume_from_checkpoint": "no/where"}, InvalidSpecError, "there is no folder 'no/where'"),
        (
            "training",
            {"metric_for_best_model": "loss"},
            InvalidSpecError,
            "evaluation are f1, precision, recall, macro_f1",
        ),
        ("model", {"settings": {"dtype": "bfloat16"}}, InvalidSpecError, "'dtype', which the run decides itself"),
        ("model", {"settings": {"num_labels": 3}}, InvalidSpecError, "'num_labels', which the run decides itself"),
        ("model", {"settings": {"hidden_dropout": 0.1}}, InvalidSpecError, "do not fit the model.*'hidden_dropout'"),
        ("model", {"base": "package:no_such_package/model"}, ArtefactError, "pip install"),
        ("data", {"test": "nowhere.jsonl"}, InvalidDataError, "nowhere.jsonl"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(
    span_run: RunConfig, section: str, values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(_with(span_run, section, **values))


def test_a_label_that_the_task_does_not_name_is_told_with_its_place(label_run: RunConfig) -> None:
    run = _with(label_run, "processor", task={"text-classification": {"labels": ["greeting", "question"]}})
    with pytest.raises(InvalidDataError, match=r"'farewell' is not among the labels of the task.*train\.jsonl:2"):
        train(run)


def test_each_test_set_of_the_hub_is_its_split_test_unless_it_says_otherwise(
    span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "nlp_training.trainer.splits.load_documents", lambda _, default_split: asked.append(default_split) or []
    )
    load_splits(_with(span_run, "data", test={"seen": "org/set", "unseen": "org/other"}))
    assert asked == ["train", "validation", "test", "test"]


def test_a_training_that_fails_gives_the_terminal_back(span_run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    output = StringIO()
    monkeypatch.setattr(DocumentTrainer, "training_step", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(span_run, console=Console(file=output, force_terminal=True, width=80))
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert output.getvalue().rindex(show) > output.getvalue().rindex(hide)


@pytest.mark.parametrize("command", [["train", "configs/quickstart.yaml"], ["evaluate", "model", "data.jsonl"]])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            MissingExtraError('install it with: pip install "nlp-inference[train]"'),
            'pip install "nlp-inference[train]"',
        ),
        (OSError("no such model on the Hub"), "OSError: no such model on the Hub"),
    ],
)
def test_the_command_tells_a_missing_extra_and_a_missing_model_in_one_line(
    monkeypatch: pytest.MonkeyPatch, command: list[str], error: Exception, message: str
) -> None:
    def fail(name: str) -> None:
        raise error

    for name in ("train", "load_config", "load_documents"):
        monkeypatch.delitem(vars(nlp_training), name, raising=False)
    monkeypatch.setattr(nlp_training, "__getattr__", fail)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_the_command_says_what_is_wrong_and_exits_with_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert "the folder configs/ contains examples" in " ".join(result.output.split())
    assert "Traceback" not in result.output
