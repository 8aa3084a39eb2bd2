"""Training ends when evaluations do not get better, and a resumed run ends where it would have."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nlp_inference.errors import InvalidSpecError
from nlp_training import DocumentTrainer, RunConfig
from nlp_training.config import load_config, save_config
from nlp_training.runs.materials import Materials
from nlp_training.trainer.arguments import resolve_training

NEVER_BETTER = 0.5  # no F1 beats the first one by as much, once that is above a half


def stopping(run: RunConfig, **early_stopping: object) -> RunConfig:
    return RunConfig.model_validate({**run.model_dump(exclude_none=True), "early_stopping": early_stopping})


@pytest.fixture(autouse=True, scope="module")
def libraries_are_no_garbage() -> Iterator[None]:
    """Each training collects garbage; looking through all imported libraries takes longer than a tiny training."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def stopping_run(span_run: RunConfig) -> RunConfig:
    """Good after an epoch, and never good enough afterwards: it stops after its third of eight epochs."""
    training = {**span_run.training, "num_train_epochs": 8, "save_total_limit": 8}
    run = span_run.model_copy(update={"training": training})
    return stopping(run, patience=2, threshold=NEVER_BETTER)


def weights(trainer: DocumentTrainer) -> dict[str, torch.Tensor]:
    return {name: one.clone() for name, one in trainer.model.state_dict().items()}


def epochs_evaluated(trainer: DocumentTrainer) -> list[float]:
    return [entry["epoch"] for entry in trainer.state.log_history if "eval_f1" in entry]


def test_training_stops_and_resumed_runs_stop_at_the_same_step_with_the_same_weights(stopping_run: RunConfig) -> None:
    materials = Materials.of(stopping_run)
    prepared = materials.prepare(stopping_run)
    whole = materials.trainer(prepared)
    whole.train()
    assert epochs_evaluated(whole) == [1.0, 2.0, 3.0]
    assert whole.state.global_step == 18
    for step in (12, 18):  # one evaluation before the last, and where it had stopped already
        resumed = materials.trainer(prepared)
        resumed.train(resume_from_checkpoint=str(stopping_run.folder / "checkpoints" / f"checkpoint-{step}"))
        assert resumed.state.global_step == 18
        assert epochs_evaluated(resumed) == [1.0, 2.0, 3.0]
        final = weights(resumed)
        assert all(torch.equal(one, final[name]) for name, one in weights(whole).items())


def test_the_section_survives_the_file(stopping_run: RunConfig, tmp_path: Path) -> None:
    save_config(stopping_run, tmp_path / "run.yaml")
    assert load_config(tmp_path / "run.yaml") == stopping_run


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"save_strategy": "no"}, "save_strategy 'no' and load_best_model_at_end False"),
        ({"eval_strategy": "no"}, "eval_strategy 'no', save_strategy 'epoch'"),
        ({"load_best_model_at_end": False}, "load_best_model_at_end False; set data.validation or data.split"),
    ],
)
def test_a_run_that_does_not_keep_its_best_weights_cannot_stop_early(
    stopping_run: RunConfig, training: dict[str, object], said: str
) -> None:
    run = stopping_run.model_copy(update={"training": {**stopping_run.training, **training}})
    with pytest.raises(InvalidSpecError, match="early_stopping ends training after the best weights") as error:
        resolve_training(run, best_metric="f1")
    assert said in str(error.value)


def test_a_run_without_validation_cannot_stop_early(label_run: RunConfig) -> None:
    with pytest.raises(InvalidSpecError, match="eval_strategy 'no'"):
        resolve_training(stopping(label_run, patience=1), best_metric="accuracy")


@pytest.mark.parametrize("settings", [{"patience": 0}, {"threshold": -0.1}, {"patiense": 2}])
def test_settings_that_mean_nothing_are_refused(label_run: RunConfig, settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="early_stopping"):
        stopping(label_run, **settings)
