"""Every value of the section `training` is checked when the configuration is read."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from transformers import TrainingArguments
from typer.testing import CliRunner

from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, load_config, train
from nlp_training._utils.cpu import use_cpu_threads
from nlp_training.cli import app
from nlp_training.config import save_config
from nlp_training.config.training_values import check_training_values
from nlp_training.trainer.arguments import training_arguments

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"learning_rate": "abc"}, "training.learning_rate is 'abc'; input should be a valid number"),
    ({"num_train_epochs": "two"}, "training.num_train_epochs is 'two'; input should be a valid number"),
    ({"num_train_epochs": 0}, "training.num_train_epochs is 0; input should be greater than 0"),
    ({"learning_rate": -1.0}, "training.learning_rate is -1.0; input should be greater than or equal to 0"),
    ({"learning_rate": float("nan")}, "training.learning_rate is nan; input should be a finite number"),
    ({"max_steps": 2.5}, "training.max_steps is 2.5; input should be a valid integer"),
    ({"fp16": "yes"}, "training.fp16 is 'yes'; input should be a valid boolean"),
    ({"per_device_train_batch_size": 0}, "is 0; input should be greater than or equal to 1"),
    ({"eval_strategy": "epochs"}, "training.eval_strategy is 'epochs'; expected one of no, steps, epoch"),
    ({"lr_scheduler_type": "cosin"}, "is 'cosin'; expected one of linear, cosine, "),
    ({"optim": "adam"}, "training.optim is 'adam'; expected one of adamw_torch, "),
    ({"lr_scheduler_type": "cosine_with_min_lr"}, "One of min_lr or min_lr_rate should be set .*lr_scheduler_kwargs"),
    ({"lr_scheduler_type": "warmup_stable_decay"}, "missing 1 required positional argument: 'num_decay_steps'"),
    ({"lr_scheduler_kwargs": {"warm": 1}}, "unexpected keyword argument 'warm'"),
    ({"learning_rat": 1.0}, "training has no key 'learning_rat'; expected a field .*; did you mean .learning_rate."),
    ({"push_to_hub": True}, "training.push_to_hub would publish during training"),
    ({"output_dir": "runs"}, "training.output_dir is set by the run; set output_dir and name at the top level"),
    ({"log_level": "loud"}, "training.log_level is 'loud'; expected one of detail, debug, info"),
    ({"ddp_backend": "nvlink"}, "training.ddp_backend is 'nvlink'; expected one of nccl, mpi"),
    ({"torch_compile_backend": "fast"}, "training.torch_compile_backend is 'fast'; expected one of no, eager, "),
    ({"torch_compile_mode": "fast"}, "training.torch_compile_mode is 'fast'; expected one of default, "),
    ({"optim_args": "foo"}, "training.optim_args is 'foo'; expected KEY=VALUE,KEY=VALUE such as decay_rate=-0.8"),
    ({"deepspeed": "zero.json"}, "the package 'deepspeed' is not installed"),
]


@pytest.mark.parametrize(("training", "message"), WRONG)
def test_a_value_that_does_not_fit_is_an_error_when_the_configuration_is_read(
    span_run: RunConfig, tmp_path: Path, training: dict[str, Any], message: str
) -> None:
    content = span_run.model_dump(mode="json", exclude_none=True)
    content["training"] = training
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InvalidSpecError, match=rf"run\.yaml: .*{message}|{message}"):
        load_config(path)
    with pytest.raises(InvalidSpecError, match=message):
        training_arguments(span_run.model_copy(update={"training": training}), best_metric="f1")


@pytest.mark.parametrize("command", ["train", "check-data"])
def test_the_commands_say_it_in_one_line(span_run: RunConfig, tmp_path: Path, command: str) -> None:
    save_config(span_run, tmp_path / "run.yaml")
    words = [command, str(tmp_path / "run.yaml"), "training.learning_rate=abc"]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "500"})
    assert done.exit_code != 0
    assert "training.learning_rate is 'abc'; input should be a valid number" in done.output
    assert "Traceback" not in done.output


def test_the_defaults_of_transformers_fit() -> None:
    defaults = vars(TrainingArguments(output_dir="unused", use_cpu=True, report_to="none"))
    plain = {key: value for key, value in defaults.items() if isinstance(value, str | int | float | bool | None)}
    fields = {key: plain[key] for key in plain.keys() & TrainingArguments.__annotations__.keys()}
    reserved = {"output_dir", "seed", "data_seed", *(key for key in fields if key.startswith(("hub_", "push_to_hub")))}
    check_training_values({key: value for key, value in fields.items() if key not in reserved})
    assert len(fields) > 60


@given(
    st.sampled_from(sorted(field for field in TrainingArguments.__annotations__)), st.text(alphabet="xyz", min_size=1)
)
def test_a_word_is_a_value_of_no_number_and_no_switch(key: str, word: str) -> None:
    annotation = TrainingArguments.__annotations__[key]
    if str(annotation) not in {"int", "float", "bool", "<class 'int'>", "<class 'float'>", "<class 'bool'>"}:
        return
    with pytest.raises(InvalidSpecError, match=f"training.{key} is {word!r}; input should be a valid"):
        check_training_values({key: word})


@pytest.mark.skipif(torch.accelerator.is_available(), reason="a CPU is needed")
@pytest.mark.parametrize("key", ["fp16", "fp16_full_eval"])
def test_fp16_on_a_cpu_is_refused(span_run: RunConfig, key: str) -> None:
    run = span_run.model_copy(update={"training": {**span_run.training, key: True}})
    with pytest.raises(InvalidSpecError, match=f"training.{key} is true, but the run is on a CPU.*bf16: auto"):
        train(run)


def test_evaluation_at_the_start_needs_validation_data(span_run: RunConfig) -> None:
    data = span_run.data.model_copy(update={"validation": None})
    run = span_run.model_copy(update={"data": data, "training": {"eval_on_start": True}})
    with pytest.raises(InvalidSpecError, match=r"training.eval_on_start is True, but there is nothing to evaluate on"):
        training_arguments(run, best_metric="f1")


def test_workers_that_stay_need_workers(span_run: RunConfig) -> None:
    changes = {"dataloader_persistent_workers": True, "dataloader_num_workers": 0}
    run = span_run.model_copy(update={"training": changes})
    with pytest.raises(InvalidSpecError, match=r"training.dataloader_persistent_workers is true, but batches are made"):
        training_arguments(run, best_metric="f1")


def test_fewer_windows_than_a_batch_that_must_be_full_are_an_error(span_run: RunConfig) -> None:
    changes = {"dataloader_drop_last": True, "per_device_train_batch_size": 64}
    run = span_run.model_copy(update={"training": {**span_run.training, **changes}})
    with pytest.raises(InvalidSpecError, match=r"have 48 window\(s\), and a batch of all processes has 64"):
        train(run)


@pytest.mark.parametrize(
    ("given", "variables", "expected"),
    [
        (None, {"OMP_NUM_THREADS": "3"}, 3),
        (None, {"OMP_NUM_THREADS": "2,1"}, 2),
        (2, {"OMP_NUM_THREADS": "3"}, 2),
        (None, {"OMP_NUM_THREADS": "1"}, 1),
        (None, {"OMP_NUM_THREADS": "3", "LOCAL_WORLD_SIZE": "2"}, 3),
        (None, {"OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "1"}, 6),
        (None, {"OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no"}, 6),
        (None, {"OMP_NUM_THREADS": "many"}, 6),
        (None, {"LOCAL_WORLD_SIZE": "2"}, 3),
        (None, {}, 6),
    ],
)
def test_threads_are_those_of_the_configuration_then_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, given: int | None, variables: dict[str, str], expected: int
) -> None:
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setitem(os.environ, name, value)
    monkeypatch.setattr("nlp_training._utils.cpu.available_cores", lambda: 6)
    chosen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    use_cpu_threads(given)
    assert chosen == [expected]


BASE = {"name": "a", "model": {"base": "b"}, "data": {"train": "t"}, "processor": {"task": "x"}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.train={path: x, columns: {txt: u}}",
            "'data.train.columns.txt'; did you mean 'text'? Known: answers, heads, id, label,",
        ),
        ("data.trian=x", "'data.trian'; did you mean 'train'? Known: max_lost_gold,"),
        ("data.test={a: {pth: x}}", "'data.test.a.pth'; did you mean 'path'? Known: blank_labels, columns,"),
        ("processor.windows.max_len=3", "did you mean 'max_length'? Known: max_length, on_overflow, overlap"),
        ("golden.record=3", "did you mean 'records'? Known: file, records"),
        ("search.space={a: {lowest: 1}}", "'search.space.a.lowest'; did you mean 'low'? Known: choices, high, log,"),
        ("early_stopping.patient=1", "did you mean 'patience'? Known: patience, threshold"),
        ("trainin.fp16=1", "did you mean 'training'? Known: augment, calibrate, cpu_threads, data,"),
    ],
)
def test_an_unknown_key_lists_the_keys_of_its_level(tmp_path: Path, override: str, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(BASE))
    with pytest.raises(InvalidSpecError) as caught:
        load_config(path, [override])
    assert message in str(caught.value)
