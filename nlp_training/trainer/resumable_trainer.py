"""A Trainer whose result does not change if it is stopped and resumed."""

import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

import torch
from pydantic import BaseModel
from transformers import Trainer
from transformers.trainer_callback import ExportableState
from transformers.trainer_jit_checkpoint import CheckpointManager, JITCheckpointCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput

from nlp_inference._utils.atomic_files import write_atomically
from nlp_training._utils.complete_checkpoints import (
    STATE_FILE,
    best_before,
    is_complete,
    keep_best_and_last,
    mark_complete,
)
from nlp_training.trainer.training_events import TrainingEvents


class Pending(BaseModel):
    """The remaining work of a step whose checkpoint was written early because the process had to stop."""

    log: bool
    evaluate: bool
    save: bool


class Progress(BaseModel):
    """The state of a Trainer between two steps that transformers does not save in checkpoints.

    Args:
        loss: the sum since the loss was last logged.
        logged_loss: the sum before.
        logged_step: the step at which the loss was last logged.
        seconds: the training time so far, including the runs that were resumed.
        stopped: in versions before `ended`: whether training had stopped for any reason.
        max_steps: the number of steps of the schedule; with another one, there may be more steps to train.
        ended: whether training has finished: its last step is done, or it stopped early.
        epoch: index of the epoch; `None` in checkpoints of earlier versions, which were written between two epochs or
            in the middle of one, but never between the last step of an epoch and the work at its end.
        steps: the completed steps of this epoch.
        steps_per_epoch: the number of steps of an epoch.
        epoch_stopped: whether a callback ended the epoch early.
        epoch_ended: whether the callbacks, logging and evaluation at the end of this epoch are done.
        pending: the remaining work after the last step.
        grad_norm: the gradient norm of the last step, to log at the end of the epoch.
        learning_rate: the learning rate of the last step.
    """

    loss: float
    logged_loss: float
    logged_step: int
    seconds: float
    stopped: bool = False
    max_steps: int
    ended: bool | None = None
    epoch: int | None = None
    steps: int = 0
    steps_per_epoch: int = 0
    epoch_stopped: bool = False
    epoch_ended: bool = True
    pending: Pending | None = None
    grad_norm: float | None = None
    learning_rate: float | None = None

    @property
    def epoch_is_over(self) -> bool:
        """Whether this epoch has no more steps to train."""
        return self.epoch_stopped or self.steps >= self.steps_per_epoch


class ResumableTrainer(Trainer):
    """A Trainer that uses only complete checkpoints, and resumes as if it had never stopped.

    transformers restores weights, optimizer, schedule, random states and the position in the epoch. This class restores
    the rest, no matter whether training was killed, or stopped by a signal or a callback.

    - A checkpoint is marked as complete after every process has written its part. Older checkpoints are removed only
      then.
    - The loss since it was last logged is saved, so the log is the same.
    - A checkpoint may be written between the last step of an epoch and the work at the end of that epoch (callbacks,
      logging, evaluation). Resumed training does this work first.
    - A stop is either an interruption or the decided end of training; see `TrainingEvents`. An interruption in the
      middle of an epoch adds no logging or evaluation, because the epoch has not ended. Training that has finished does
      not continue.
    - A checkpoint that a callback requests, such as that of `enable_jit_checkpoint`, is written after the current step.
      The remaining logging and evaluation happen after resuming, because the process may not have enough time.
    - The best checkpoint is searched next to the one to resume from, even if the folder was moved.

    Attributes:
        interrupted: whether the last training stopped before it finished.
    """

    interrupted = False
    _resumed: Progress | None = None
    _began = 0.0
    _epoch = 0
    _first_step = 0
    _steps_per_epoch = 0
    _at_epoch_end = False
    _is_out_of_data = False
    _save_is_due = False
    _is_leaving = False
    _epoch_stays_open = False
    _saved_step = -1
    _pending: Pending | None = None
    _grad_norm: Any = None
    _learning_rate: float | None = None
    _rng_files: Mapping[str, bytes] = {}
    _callback_states: Mapping[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        before = {"on_train_begin": self._restore_progress, "on_epoch_end": self._enter_epoch_end}
        self._events = TrainingEvents(self.callback_handler, before=before)
        self.callback_handler = self._events
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, JITCheckpointCallback) and callback.jit_manager is not None:
                callback.jit_manager.execute_jit_checkpoint = partial(self._take_signal, callback.jit_manager)  # type: ignore[method-assign]

    def _take_signal(self, manager: CheckpointManager) -> None:
        """Request a checkpoint after the current step, in place of `CheckpointManager.execute_jit_checkpoint`.

        That method creates a folder in each process, although they may be at different steps, and one process would
        remove the folder that another one writes to.
        """
        manager.is_checkpoint_requested = False
        self._save_is_due = True

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        resume_from_checkpoint: str | None,
        trial: Any,
    ) -> tuple[int, int]:
        begun: tuple[int, int] = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )
        self._resumed = None
        self.interrupted = self._is_out_of_data = self._save_is_due = self._is_leaving = False
        self._saved_step, self._grad_norm, self._learning_rate = -1, None, None
        if resume_from_checkpoint is not None:
            checkpoint = Path(resume_from_checkpoint)
            best = best_before(checkpoint)
            if best is not None and best.is_dir():
                self.state.best_model_checkpoint = str(best)
            progress = checkpoint / self._progress_file()
            if progress.is_file():
                self._resumed = self._load_progress(progress)
                self.args.eval_on_start = False  # it is already done
                begun = self._position(self._resumed, begun, steps_per_epoch=num_update_steps_per_epoch)
        return begun

    def _progress_file(self) -> str:
        return f"progress_{self.args.process_index}.json"

    def _load_progress(self, path: Path) -> Progress:
        """Load the progress; in files of earlier versions, a stop before the last step may be an interruption."""
        progress = Progress.model_validate_json(path.read_bytes())
        if progress.ended is None:
            states: Any = self.state.stateful_callbacks
            stopped_early = any(_has_lost_patience(state) for state in states.values())
            ended = progress.stopped and (self.state.global_step >= progress.max_steps or stopped_early)
            progress = progress.model_copy(update={"ended": ended})
        return progress

    def _position(self, resumed: Progress, stock: tuple[int, int], *, steps_per_epoch: int) -> tuple[int, int]:
        """Return the epoch to start with, and how many of its batches are done."""
        if resumed.epoch is None or resumed.steps_per_epoch != steps_per_epoch:
            self._resumed = resumed.model_copy(update={"epoch": None, "epoch_ended": True, "pending": None})
            return stock
        if resumed.epoch_is_over and resumed.epoch_ended:
            return resumed.epoch + 1, 0
        batches = 0 if self.args.ignore_data_skip else resumed.steps * self.args.gradient_accumulation_steps
        return resumed.epoch, batches

    def _restore_progress(self) -> None:
        """Start, or continue, the time and the sum of the loss."""
        self._began = time()
        if self._resumed is not None:
            self._began -= self._resumed.seconds
            self._tr_loss = torch.tensor(self._resumed.loss, device=self.args.device)
            self._total_loss_scalar = self._resumed.logged_loss
            self._globalstep_last_logged = self._resumed.logged_step
            self._grad_norm, self._learning_rate = self._resumed.grad_norm, self._resumed.learning_rate
            self._initial_global_step = 0
            self._initial_num_input_tokens_seen = 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log as a Trainer does; rates per second cover the complete training, including resumed runs."""
        super().log(logs, None if start_time is None else self._began)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        resumed, self._resumed = self._resumed, None
        done = kwargs["steps_trained_in_current_epoch"] // self.args.gradient_accumulation_steps
        done = done if kwargs["epoch"] == kwargs["epochs_trained"] else 0
        if resumed is not None and resumed.epoch == kwargs["epoch"]:
            done = resumed.steps
        self._epoch, self._steps_per_epoch = kwargs["epoch"], kwargs["num_update_steps_per_epoch"]
        self._first_step = self.state.global_step - done
        self._at_epoch_end = False
        if resumed is not None and not self._catch_up(resumed, **kwargs):
            return
        super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]  # transformers'

    def _catch_up(
        self,
        resumed: Progress,
        *,
        model: torch.nn.Module,
        epoch: int,
        trial: Any,
        ignore_keys_for_eval: Any,
        start_time: float,
        resume_from_checkpoint: str,
        **_: Any,
    ) -> bool:
        """Do the remaining work of the checkpoint; return whether this epoch has more steps."""
        work = partial(
            self._maybe_log_save_evaluate,
            self._tr_loss,
            None,
            model,
            trial,
            epoch,
            ignore_keys_for_eval,
            start_time,
        )
        ended = bool(resumed.ended) and resumed.max_steps == self.state.max_steps
        is_here = resumed.epoch == epoch
        control = self.control
        if (is_here and not resumed.epoch_ended) or resumed.pending is not None:
            self._load_rng_state(resume_from_checkpoint)
            control.should_log = control.should_evaluate = control.should_save = False
        if resumed.pending is not None:
            waiting = resumed.pending
            control.should_log, control.should_evaluate, control.should_save = (
                waiting.log,
                waiting.evaluate,
                waiting.save,
            )
            work()
            with TemporaryDirectory() as folder:
                self._save_rng_state(folder)
                self._rng_files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        control = self.control
        self._events.stop_is_decided |= ended
        control.should_training_stop |= ended
        if not control.should_training_stop and not (is_here and resumed.epoch_is_over):
            return True
        if not resumed.epoch_ended:
            self.control = self.callback_handler.on_epoch_end(self.args, self.state, control)
            work()
        return False

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load the random states of the checkpoint, or those after the remaining work."""
        files, self._rng_files = self._rng_files, {}
        with TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            super()._load_rng_state(folder if files else checkpoint)

    def _enter_epoch_end(self) -> None:
        """Save the states of callbacks, which may change now although the epoch has not ended."""
        self._at_epoch_end = True
        self._is_out_of_data = self.state.global_step == self._first_step
        callbacks = [one for one in self.callback_handler.callbacks if isinstance(one, ExportableState)]
        self._callback_states = {type(one).__name__: deepcopy(one.state()) for one in callbacks}

    @property
    def _epoch_is_over(self) -> bool:
        steps = self.state.global_step - self._first_step
        return steps >= self._steps_per_epoch or self.control.should_epoch_stop

    def _has_ended(self) -> bool:
        """Return whether there is nothing more to train."""
        last = self._at_epoch_end and self._epoch_is_over and self._epoch + 1 >= self.state.num_train_epochs
        is_decided = self._events.stop_is_decided or self._is_out_of_data
        return is_decided or last or self.state.global_step >= self.state.max_steps

    def _agree(self) -> None:
        """Synchronize save and stop over all processes, because a signal reaches them at different times."""
        if self.args.world_size > 1 and getattr(self.args, "enable_jit_checkpoint", False):
            mine = torch.tensor([self._save_is_due, self.control.should_training_stop], device=self.args.device)
            some = self.accelerator.gather(mine[None].int()).amax(0).tolist()
            self._save_is_due, self.control.should_training_stop = bool(some[0]), bool(some[1])

    def _maybe_log_save_evaluate(
        self,
        tr_loss: torch.Tensor,
        grad_norm: Any,
        model: torch.nn.Module,
        trial: Any,
        epoch: float,
        ignore_keys_for_eval: Any,
        start_time: float,
        learning_rate: float | None = None,
    ) -> None:
        """Log, evaluate and save as a Trainer does; after an interruption, skip what resumed training will do."""
        self._grad_norm = self._grad_norm if grad_norm is None else grad_norm
        self._learning_rate = self._learning_rate if learning_rate is None else learning_rate
        self._agree()
        control, is_due, self._save_is_due = self.control, self._save_is_due, False
        interrupted = control.should_training_stop and not self._has_ended()
        is_open = self._at_epoch_end and interrupted and not self._epoch_is_over
        self._epoch_stays_open = is_open or self._is_leaving or (self._at_epoch_end and is_due and interrupted)
        if is_open or self._is_leaving:
            control.should_log = control.should_evaluate = False
            control.should_save = (control.should_save or is_due) and self._saved_step != self.state.global_step
        elif is_due and interrupted:
            saves = control.should_save or self._events.save_was_withdrawn
            pending = Pending(log=control.should_log, evaluate=control.should_evaluate, save=saves)
            self._pending = None if self._at_epoch_end else pending
            control.should_log = control.should_evaluate = False
            control.should_save = self._is_leaving = True
        else:
            control.should_save = control.should_save or is_due
        super()._maybe_log_save_evaluate(
            tr_loss,
            self._grad_norm,
            model,
            trial,
            epoch,
            ignore_keys_for_eval,
            start_time,
            learning_rate=self._learning_rate,
        )
        self._pending = None

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Save everything, mark it as complete, and only then remove older checkpoints."""
        folder = Path(self._get_output_dir(trial))
        checkpoint = folder / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if self._events.a_save_follows:  # a callback requests the checkpoint
            self._save_is_due = True
            if self.args.should_save and checkpoint.is_dir() and not is_complete(checkpoint):
                shutil.rmtree(checkpoint)
            return
        if self.args.should_save and checkpoint.exists():
            shutil.rmtree(checkpoint)
        self.accelerator.wait_for_everyone()
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        write_atomically(checkpoint / self._progress_file(), self._progress().model_dump_json() + "\n")
        if self.args.should_save and self._epoch_stays_open and self._at_epoch_end:
            _restore_callback_states(checkpoint / STATE_FILE, self._callback_states)
        self.accelerator.wait_for_everyone()
        self._saved_step = self.state.global_step
        if self.args.should_save:
            mark_complete(checkpoint)
            keep_best_and_last(folder, limit=limit, best=best_before(checkpoint))

    def _progress(self) -> Progress:
        norm = self._grad_norm
        return Progress(
            loss=self._tr_loss.item(),
            logged_loss=self._total_loss_scalar,
            logged_step=self._globalstep_last_logged,
            seconds=time() - self._began,
            stopped=self.control.should_training_stop,
            max_steps=self.state.max_steps,
            ended=self.control.should_training_stop and self._has_ended(),
            epoch=self._epoch,
            steps=self.state.global_step - self._first_step,
            steps_per_epoch=self._steps_per_epoch,
            epoch_stopped=self.control.should_epoch_stop,
            epoch_ended=self._at_epoch_end and not self._epoch_stays_open,
            pending=self._pending,
            grad_norm=norm.item() if isinstance(norm, torch.Tensor) else norm,
            learning_rate=self._learning_rate,
        )

    def _finalize_training(self, trial: Any, num_train_samples: int, start_time: float) -> TrainOutput:
        """Finalize as a Trainer does, but for the complete training; keep both the last and the best checkpoint."""
        self.interrupted = self.control.should_training_stop and not self._has_ended()
        self._rng_files = {}
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            output: TrainOutput = super()._finalize_training(  # type: ignore[no-untyped-call]  # transformers'
                trial, num_train_samples, self._began
            )
        finally:
            self.args.save_total_limit = limit
        return output


def _restore_callback_states(path: Path, states: Mapping[str, Any]) -> None:
    content = json.loads(path.read_bytes())
    content["stateful_callbacks"] |= states
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _has_lost_patience(state: Any) -> bool:
    """Return whether a saved state belongs to an `EarlyStoppingCallback` that stops training."""
    if not isinstance(state, dict):
        return False
    counted = state.get("attributes", {}).get("early_stopping_patience_counter", 0)
    return bool(counted) and counted >= state.get("args", {}).get("early_stopping_patience", float("inf"))
