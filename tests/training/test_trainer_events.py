"""The events of a ResumableTrainer are those of the stock Trainer, in its order and with its state."""

import json
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from small_trainings import small_trainer, without_times
from transformers import (
    DefaultFlowCallback,
    EarlyStoppingCallback,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
)
from transformers.integrations import TensorBoardCallback
from transformers.trainer_callback import CallbackHandler

from nlp_training._utils.complete_checkpoints import is_complete
from nlp_training.trainer.resumable_trainer import ResumableTrainer

pytestmark = pytest.mark.usefixtures("fast_trainings")
EVENTS = [name for name in vars(TrainerCallback) if name.startswith("on_")]
COMPARED = ("global_step", "epoch", "max_steps", "num_train_epochs", "best_metric", "best_global_step", "total_flos")


class Recorder(TrainerCallback):
    """Writes down each event with what the trainer knows then."""

    def __init__(self, *, whole: bool) -> None:
        self.seen: list[Any] = []
        self.saved: list[list[str]] = []
        self.whole = whole

    def __getattribute__(self, name: str) -> Any:
        if name in EVENTS:
            return lambda args, state, control, **kwargs: self.record(name, args, state, control, **kwargs)
        return object.__getattribute__(self, name)

    def record(self, name: str, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        known = {field: getattr(state, field) for field in COMPARED}
        logs = [without_times([kwargs[key]])[0] for key in ("logs", "metrics") if key in kwargs]
        folder = Path(args.output_dir)
        there = sorted(path.name for path in folder.glob("checkpoint-*")) if folder.is_dir() else []
        self.seen.append((name, known, vars(copy(control)), logs, there, sorted(kwargs)))
        if name == "on_save":
            checkpoint = folder / f"checkpoint-{state.global_step}"
            self.saved.append(sorted(path.name for path in checkpoint.iterdir()))
            if self.whole:
                assert is_complete(checkpoint)


class EndsEpochs(TrainerCallback):
    """Ends the second epoch early."""

    def on_step_end(self, args, state, control, **kwargs):
        control.should_epoch_stop = state.global_step == 9


class SavesWhenLogged(TrainerCallback):
    def on_log(self, args, state, control, **kwargs):
        control.should_save = args.save_strategy != "no" and state.global_step % 5 == 0


class EvaluatesLate(TrainerCallback):
    def on_epoch_end(self, args, state, control, **kwargs):
        control.should_evaluate = control.should_evaluate or (args.eval_strategy != "no" and (state.epoch or 0) > 2)


class LogsFirst(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        control.should_log = control.should_log or state.global_step == 1
        return control


class KeepsLogs(TrainerCallback):
    def on_train_begin(self, args, state, control, **kwargs):
        self.logs: list[Any] = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(logs)


def run(kind: type[Trainer], folder: Path, **settings: Any) -> tuple[Trainer, Recorder]:
    """Train with ten callbacks, those of transformers that need no service among them."""
    recorder = Recorder(whole=kind is ResumableTrainer)
    others: list[TrainerCallback] = [EndsEpochs(), SavesWhenLogged(), EvaluatesLate(), LogsFirst(), KeepsLogs()]
    others += [TensorBoardCallback()] if settings.pop("tensorboard", False) else []
    if settings.get("load_best_model_at_end"):
        others.append(EarlyStoppingCallback(2))
    trainer = small_trainer(kind, folder / kind.__name__, callbacks=[*others, recorder], **settings)
    trainer.add_callback(PrinterCallback)
    trainer.add_callback(ProgressCallback)
    assert any(isinstance(one, DefaultFlowCallback) for one in trainer.callback_handler.callbacks)
    trainer.train()
    return trainer, recorder


BEST = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
SETTINGS: dict[str, dict[str, Any]] = {
    "epochs": {"save_strategy": "epoch", "eval_strategy": "epoch", "logging_strategy": "epoch", **BEST},
    "end of an epoch": {"save_strategy": "steps", "save_steps": 6, "logging_strategy": "epoch", "tensorboard": True},
    "end of an epoch and best": {"save_strategy": "steps", "save_steps": 3, "eval_strategy": "steps", "eval_steps": 3}
    | {"logging_steps": 2, "save_total_limit": None, **BEST},
    "last step": {"save_strategy": "steps", "save_steps": 4, "max_steps": 10, "logging_first_step": True},
    "best": {"save_strategy": "best", "eval_strategy": "steps", "eval_steps": 2, **BEST},
    "nothing is saved": {"save_strategy": "no", "eval_strategy": "epoch", "logging_strategy": "steps"},
    "accumulated": {"save_strategy": "steps", "save_steps": 3, "gradient_accumulation_steps": 2},
    "at the start": {"save_strategy": "epoch", "eval_strategy": "steps", "eval_steps": 4, "eval_on_start": True},
    "late": {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2, "eval_delay": 5},
    "tokens": {"save_strategy": "no", "include_num_input_tokens_seen": "all", "logging_steps": 3},
    "memory": {"save_strategy": "no", "eval_strategy": "epoch", "skip_memory_metrics": False},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_events_and_state_are_those_of_the_stock_trainer(tmp_path, name, capsys):
    settings = SETTINGS[name]
    stock, expected = run(Trainer, tmp_path, **settings)
    ours, found = run(ResumableTrainer, tmp_path, **settings)
    assert [one[0] for one in found.seen] == [one[0] for one in expected.seen]
    for one, other in zip(found.seen, expected.seen, strict=True):
        assert _comparable(one) == _comparable(other)
    assert len(found.saved) == len(expected.saved)
    for ours_there, stock_there in zip(found.saved, expected.saved, strict=True):
        assert sorted({*stock_there, "whole.json", "progress_0.json"}) == ours_there
    assert [sorted(one) for one in ours.state.log_history] == [sorted(one) for one in stock.state.log_history]
    assert isinstance(ours.callback_handler, CallbackHandler)
    capsys.readouterr()


def _comparable(event: Any) -> Any:
    """Memory is measured, and is another each time."""
    name, known, control, logs, there, keys = event
    logs = [{key: None if "_mem_" in key else value for key, value in one.items()} for one in logs]
    return json.dumps([name, known, control, logs, there, keys], default=str)


def test_a_checkpoint_at_the_end_of_an_epoch_and_at_the_last_step_is_saved_once(tmp_path):
    """`save_strategy: steps` with a checkpoint exactly there."""
    recorder = Recorder(whole=True)
    small_trainer(
        ResumableTrainer, tmp_path, callbacks=[recorder], save_strategy="steps", save_steps=6, num_train_epochs=2
    ).train()
    assert [one[1]["global_step"] for one in recorder.seen if one[0] == "on_save"] == [6, 12]
    assert all({"model.safetensors", "optimizer.pt", "whole.json"} <= {*files} for files in recorder.saved)
