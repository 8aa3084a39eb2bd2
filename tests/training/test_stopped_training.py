"""A training that stops in any way, and resumes, ends as the one that did not stop."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from small_trainings import small_trainer, state_in, without_times
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState

from nlp_training._utils.complete_checkpoints import checkpoints_in, is_complete, last_complete
from nlp_training.trainer.resumable_trainer import ResumableTrainer

pytestmark = pytest.mark.usefixtures("fast_trainings")
EVENTS = (
    "on_step_begin",
    "on_substep_end",
    "on_pre_optimizer_step",
    "on_optimizer_step",
    "on_step_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_log",
    "on_evaluate",
    "on_save",
)


class StepCounter(TrainerCallback, ExportableState):
    """Keeps state: what it counted has to be the same after resuming."""

    def __init__(self, steps: int = 0, epochs: int = 0) -> None:
        self.steps, self.epochs = steps, epochs

    def on_step_end(self, args, state, control, **kwargs):
        self.steps += 1

    def on_epoch_end(self, args, state, control, **kwargs):
        self.epochs += 1

    def state(self) -> dict[str, Any]:
        return {"args": {"steps": self.steps, "epochs": self.epochs}, "attributes": {}}


class Stop(TrainerCallback):
    """Stops at the first occurrence of an event from a step on, as a time limit does.

    Args:
        event: in which to stop.
        step: from which on.
        how: `stop`, `save` and stop, `jit`: as transformers does on SIGTERM, or `raise` KeyboardInterrupt.
    """

    def __init__(self, event: str, step: int, how: str) -> None:
        self.event, self.step, self.how = event, step, how
        self.trainer: ResumableTrainer | None = None
        self.done = False

    def __getattribute__(self, name: str) -> Any:
        if name in EVENTS and name == object.__getattribute__(self, "event"):
            return object.__getattribute__(self, "act")
        return object.__getattribute__(self, name)

    def act(self, args, state, control, **kwargs):
        if self.done or state.global_step < self.step:
            return
        self.done = True
        if self.how == "raise":
            raise KeyboardInterrupt
        if self.how == "jit":
            assert self.trainer is not None
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "checkpoint-is-incomplete.txt").write_text("in progress")
            control.should_save = False
            self.trainer._save_checkpoint(self.trainer.model, trial=None)
            (folder / "checkpoint-is-incomplete.txt").unlink(missing_ok=True)
        control.should_save = control.should_save or self.how == "save"
        control.should_training_stop = True


def train(folder: Path, stop: Stop | None, *, resume: bool, **settings: Any) -> ResumableTrainer:
    patience = settings.pop("patience", None)
    callbacks: list[TrainerCallback] = [StepCounter()]
    if patience:
        callbacks.append(EarlyStoppingCallback(patience))
    if stop is not None:
        callbacks.append(stop)
    trainer = small_trainer(ResumableTrainer, folder, callbacks=callbacks, **settings)
    assert isinstance(trainer, ResumableTrainer)
    if stop is not None:
        stop.trainer = trainer
    checkpoint = last_complete(folder) if resume else None
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return trainer


def end_of(trainer: ResumableTrainer, folder: Path) -> dict[str, Any]:
    """Everything that is to be the same, the last checkpoint on the schedule among it."""
    state = trainer.state
    last = last_complete(folder)
    end: dict[str, Any] = {
        "step": state.global_step,
        "log": without_times(state.log_history),
        "best": (state.best_metric, state.best_global_step),
        "weights": {name: value.tolist() for name, value in trainer.model.state_dict().items()},
        "interrupted": trainer.interrupted,
        "counted": next(
            one.state() for one in trainer.callback_handler.callbacks if type(one).__name__ == "StepCounter"
        ),
    }
    if last is not None:
        progress = json.loads((last / "progress_0.json").read_bytes()) | {"seconds": None}
        end["checkpoint"] = (last.name, state_in(last), progress)
        end["files"] = {
            name: (last / name).read_bytes()
            for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth")
        }
    return end


def check_stops(folder: Path, stops: list[Stop], **settings: Any) -> None:
    settings = {"restore_callback_states_from_checkpoint": True} | settings
    complete = train(folder / "complete", None, resume=False, **settings)
    expected = end_of(complete, folder / "complete")
    assert not complete.interrupted
    stopped = folder / "stopped"
    for number, stop in enumerate(stops):
        try:
            trainer = train(stopped, stop, resume=number > 0, **settings)
        except KeyboardInterrupt:
            assert stop.how == "raise"
        else:
            ended = trainer.state.global_step >= expected["step"]
            assert trainer.interrupted or not stop.done or ended
        for path in checkpoints_in(stopped):
            assert is_complete(path), sorted(path.iterdir())
    found = end_of(train(stopped, None, resume=True, **settings), stopped)
    if not any(one.how in {"save", "jit"} for one in stops):  # or the last checkpoint may be one that was asked for
        assert found == expected
    for key, value in expected.items():
        if key not in {"checkpoint", "files"} or found["checkpoint"][0] == expected["checkpoint"][0]:
            assert found[key] == value, key


STEPS = {"save_strategy": "steps", "save_steps": 3, "eval_strategy": "steps", "eval_steps": 3, "logging_steps": 2}
EPOCHS = {"save_strategy": "epoch", "eval_strategy": "epoch", "logging_strategy": "epoch"}
BEST = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}


@pytest.mark.parametrize("how", ["stop", "save", "jit", "raise"])
@pytest.mark.parametrize(
    "settings", [STEPS | BEST, EPOCHS | BEST, {**STEPS, "eval_strategy": "no", "gradient_accumulation_steps": 2}]
)
def test_stopped_at_the_end_of_a_step(tmp_path, how, settings):
    """In the middle of an epoch, at its end, and when the last step is done."""
    for step in (4, 6, 18):
        check_stops(tmp_path / str(step), [Stop("on_step_end", step, how)], **settings)


def random_case(draw: Random) -> tuple[list[Stop], dict[str, Any]]:
    interval = draw.randint(1, 7)
    saves = draw.choice(["steps", "epoch", "no", "best"])
    evaluates = {"steps": "steps", "epoch": "epoch", "best": draw.choice(["steps", "epoch"])}.get(saves, "no")
    settings: dict[str, Any] = {
        "save_strategy": saves,
        "save_steps": interval,
        "eval_strategy": evaluates,
        "eval_steps": interval,
        "logging_strategy": draw.choice(["steps", "epoch"]),
        "logging_steps": draw.randint(1, 5),
        "gradient_accumulation_steps": draw.choice([1, 2, 4]),
        "save_total_limit": draw.choice([None, 1, 2]),
        "include_num_input_tokens_seen": "no",
    }
    if evaluates != "no":
        settings |= {**BEST, "patience": draw.choice([None, 1, 2])}
    if draw.random() < 0.3:
        settings["max_steps"] = draw.randint(2, 9)
    hows = ["stop", "save", "raise"] if saves == "best" else ["stop", "save", "jit", "raise"]
    return [Stop(draw.choice(EVENTS), draw.randint(0, 15), draw.choice(hows)) for _ in range(2)], settings


@pytest.mark.parametrize("seed", range(24))
def test_stopped_twice_in_random_events(tmp_path, seed):
    stops, settings = random_case(Random(seed))  # noqa: S311 - which events
    check_stops(tmp_path, stops, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24, 400))
def test_stopped_twice_in_many_random_events(tmp_path, seed):
    stops, settings = random_case(Random(seed))  # noqa: S311 - which events
    check_stops(tmp_path, stops, **settings)
