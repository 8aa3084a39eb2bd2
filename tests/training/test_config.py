"""The YAML of a run: every key known, every key overridable, every mistake named."""

from pathlib import Path

import pytest

from nlp_inference.errors import InvalidSpecError
from nlp_training import load_config
from nlp_training.arguments import training_arguments
from nlp_training.config import RunConfig, save_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))

MINIMAL = """
name: demo
model: {base: some/model}
data: {train: train.jsonl}
processor: {task: text-classification}
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(MINIMAL)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads_and_names_known_things(path: Path, tmp_path: Path) -> None:
    from nlp_inference import Compose, PostTransform

    config = load_config(path, [f"output_dir={tmp_path}"])
    assert config.name == path.stem
    Compose(config.processor.preprocess)
    Compose(config.processor.postprocess, kind=PostTransform)
    training_arguments(config, best_metric="f1")


def test_there_is_a_configuration_for_each_task() -> None:
    assert {path.stem for path in CONFIGS} >= {"quickstart", "banking77", "wnut17"}


def test_overrides_reach_any_depth_and_are_yaml(minimal: Path) -> None:
    config = load_config(
        minimal,
        ["data.test=a.jsonl", "training.learning_rate=3e-4", "processor.windows.max_length=64", "training.bf16=false"],
    )
    assert config.data.test["test"].path == "a.jsonl"
    assert config.processor.windows.max_length == 64
    assert config.training["bf16"] is False
    assert training_arguments(config, best_metric="f1").learning_rate == 3e-4


def test_a_resolved_configuration_reads_back_the_same(minimal: Path, tmp_path: Path) -> None:
    config = load_config(minimal, ["data.test={seen: a.jsonl, unseen: b.jsonl}"])
    save_config(config, tmp_path / "resolved.yaml")
    assert load_config(tmp_path / "resolved.yaml") == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle.base=x", "unknown key 'modle'; did you mean 'model'"),
        ("data.tset=x.jsonl", "unknown key 'data.tset'"),
        ("processor.windows.overlap=-1", "processor.windows.overlap"),
        ("name=../elsewhere", "name"),
        ("training", "write key=value"),
    ],
)
def test_a_mistake_is_named(minimal: Path, override: str, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message.replace("(", r"\(").replace("[", r"\[")):
        load_config(minimal, [override])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("learning_rat", "did you mean 'learning_rate'"),
        ("output_dir", "set output_dir and name at the top"),
        ("seed", "set seed at the top"),
    ],
)
def test_a_training_key_that_is_none_or_not_to_be_set_is_named(minimal: Path, key: str, message: str) -> None:
    config = load_config(minimal, [f"training.{key}=1"])
    with pytest.raises(InvalidSpecError, match=message):
        training_arguments(config, best_metric="f1")


def test_a_missing_file_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="those that ship are in configs/"):
        load_config(tmp_path / "none.yaml")


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- a\n- b\n")
    with pytest.raises(InvalidSpecError, match="holds list"):
        load_config(path)


def test_validation_data_turn_on_evaluation_and_the_best_weights(minimal: Path) -> None:
    config = load_config(minimal, ["data.validation=dev.jsonl"])
    arguments = training_arguments(config, best_metric="f1")
    assert arguments.load_best_model_at_end
    assert arguments.metric_for_best_model == "eval_f1"
    assert arguments.greater_is_better


def test_a_seed_reaches_the_trainer() -> None:
    config = RunConfig.model_validate(
        {
            "name": "a",
            "seed": 7,
            "model": {"base": "b"},
            "data": {"train": "c"},
            "processor": {"task": "text-classification"},
        }
    )
    assert training_arguments(config, best_metric="f1").seed == 7
