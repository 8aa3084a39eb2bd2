"""What a section `search` may say, and the configurations that it makes."""

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FixedTrial
from pydantic import ValidationError

from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, load_config
from nlp_training.config import save_config
from nlp_training.config.search import Dimension, SearchConfig
from nlp_training.runs.materials import Materials
from nlp_training.search.run import check_space
from nlp_training.search.space import suggest, with_values

ROOT = Path(__file__).parents[2]


def with_space(run: RunConfig, space: dict[str, Any]) -> RunConfig:
    return RunConfig.model_validate({**run.model_dump(exclude_none=True), "search": {"space": space}})


@pytest.mark.parametrize(
    ("dimension", "drawn", "value"),
    [
        ({"low": 1e-5, "high": 1e-3, "log": True}, 1e-4, 1e-4),
        ({"low": 0.0, "high": 1.0, "step": 0.25}, 0.75, 0.75),
        ({"low": 2, "high": 6, "step": 2}, 4, 4),
        ({"low": 1, "high": 64, "log": True}, 8, 8),
        ({"choices": ["linear", "cosine"]}, "cosine", "cosine"),
        ({"choices": [True, None, 3]}, None, None),
        ({"choices": ["focal", {"dice": {"smooth": 1.0}}]}, '{"dice": {"smooth": 1.0}}', {"dice": {"smooth": 1.0}}),
        ({"choices": [[], ["strip_html"]]}, '["strip_html"]', ["strip_html"]),
    ],
)
def test_a_trial_draws_a_value(dimension: dict[str, Any], drawn: object, value: object) -> None:
    found = suggest(FixedTrial({"key": drawn}), {"key": Dimension.model_validate(dimension)})["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("dimension", "said"),
    [
        ({}, "give low and high, or choices"),
        ({"low": 1}, "give low and high, or choices"),
        ({"low": 2, "high": 1}, "low is 2, which is greater than high, 1"),
        ({"low": 0.0, "high": 1.0, "log": True}, "log requires low above 0 and no step, but low is 0.0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "and step is 2"),
        ({"low": 1, "high": 9, "step": 0}, "greater than 0"),
        ({"choices": []}, "at least 1 item"),
        ({"choices": [1, 2, 1]}, "contain a duplicate"),
        ({"choices": [1], "low": 1}, "choices cannot be combined"),
        ({"from": 1, "to": 2}, "Extra inputs"),
    ],
)
def test_a_dimension_that_means_nothing_is_refused(dimension: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Dimension.model_validate(dimension)


@pytest.mark.parametrize("key", ["seed", "data.train", "name", "search.trials", "golden.records"])
def test_what_is_the_same_in_all_trials_is_not_searched(key: str) -> None:
    with pytest.raises(ValidationError, match=f"'{key}' is the same in all trials"):
        SearchConfig.model_validate({"space": {key: {"choices": [1, 2]}}})


def test_values_reach_every_section(span_run: RunConfig) -> None:
    run = with_space(span_run, {"training.learning_rate": {"low": 1e-5, "high": 1e-3}})
    values = {
        "training.learning_rate": 1e-4,
        "loss.focal.gamma": 1.5,
        "processor.windows.max_length": 64,
        "model.settings.hidden_dropout_prob": 0.2,
        "sampling.balance": "label",
        "augment": ["keyboard_typos"],
    }
    found = with_values(run, values)
    assert found.search is None
    assert found.training == {**span_run.training, "learning_rate": 1e-4}
    assert found.loss == {"focal": {"gamma": 1.5}}
    assert found.processor.windows.max_length == 64
    assert found.model.settings == {"hidden_dropout_prob": 0.2}
    assert found.sampling.balance == "label"
    assert found.augment == ["keyboard_typos"]
    assert with_values(run, {}) == span_run


def test_whole_and_broken_numbers_survive_the_file(span_run: RunConfig, tmp_path: Path) -> None:
    space = {"training.num_train_epochs": {"low": 1, "high": 3}, "loss.focal.gamma": {"low": 0.0, "high": 5.0}}
    run = with_space(span_run, space)
    save_config(run, tmp_path / "run.yaml")
    loaded = load_config(tmp_path / "run.yaml")
    assert loaded == run
    assert loaded.search is not None
    assert [one.is_integer for one in loaded.search.space.values()] == [True, False]


@pytest.mark.parametrize(
    ("key", "dimension", "said"),
    [
        ("training.learning_rat", {"low": 1e-5, "high": 1e-3}, "did you mean 'learning_rate'"),
        ("processor.window.max_length", {"choices": [16]}, "window"),
        ("processor.windows.max_length", {"low": -1, "high": 32}, "cannot be -1"),
        ("loss", {"choices": ["cross_entropy", "focus"]}, "cannot be 'focus'"),
        ("loss.focal.gama", {"low": 0.0, "high": 5.0}, "gama"),
    ],
)
def test_a_space_that_cannot_be_is_refused_before_anything_is_trained(
    span_run: RunConfig, key: str, dimension: dict[str, Any], said: str
) -> None:
    run = with_space(span_run, {key: dimension})
    assert run.search is not None
    with pytest.raises(InvalidSpecError, match=f"search.space: {key} cannot be") as error:
        check_space(run, run.search, Materials.of(run).prepare(span_run))
    assert said in str(error.value)


def test_streamed_documents_are_refused(span_run: RunConfig) -> None:
    content = span_run.model_dump(exclude_none=True)
    content["data"]["train"]["streaming"] = True
    with pytest.raises(InvalidSpecError, match=r"data\.train is streamed"):
        Materials.of(RunConfig.model_validate(content))


def test_several_processes_are_refused(span_run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InvalidSpecError, match="2 processes were started, but this command"):
        Materials.of(span_run)
