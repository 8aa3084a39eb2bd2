"""A Trainer that, killed at any moment and resumed, ends with what it would have ended with."""

import shutil
from pathlib import Path
from time import time
from typing import Any

import torch
from pydantic import BaseModel
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, TrainOutput

from nlp_inference._whole_files import write_whole
from nlp_training.reproducibility.whole_checkpoints import best_before, keep_best_and_last, mark_whole


class Progress(BaseModel):
    """What a process of a Trainer knows between two steps, and its checkpoints do not keep.

    Args:
        loss: summed since the loss was last logged.
        logged_loss: summed before.
        logged_step: when the loss was last logged.
        seconds: of training so far, of this run and those that it goes on from.
        stopped: whether there is nothing more to train.
        max_steps: of the schedule; with another one there may be.
    """

    loss: float
    logged_loss: float
    logged_step: int
    seconds: float
    stopped: bool
    max_steps: int


class ResumableTrainer(Trainer):
    """A Trainer whose checkpoints are whole or not taken, and which goes on from one as if it had never stopped.

    transformers restores weights, optimizer, schedule, random numbers and the place in the epoch. What it does not is
    mended here:

    - A checkpoint is marked as whole when every process has written its part, and only then older ones are removed.
    - The loss that was summed since it was last logged is kept, so that the log is the same.
    - A checkpoint at the end of an epoch is written after what belongs to that end (logging, evaluation), and one of
      the last step when training has stopped: a resumed run would leave these out, and train a step too many.
    - The best checkpoint is found beside the one to go on from, wherever the folder is now.
    """

    _resumed: Progress | None = None
    _began = 0.0
    _epoch_is_over = False
    _save_is_due = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(_Watch(self))

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
        self._save_is_due = False
        if resume_from_checkpoint is not None:
            checkpoint = Path(resume_from_checkpoint)
            best = best_before(checkpoint)
            if best is not None and best.is_dir():
                self.state.best_model_checkpoint = str(best)
            progress = checkpoint / self._progress_file()
            if progress.is_file():
                self._resumed = Progress.model_validate_json(progress.read_bytes())
                self.args.eval_on_start = False  # it was done
        return begun

    def _progress_file(self) -> str:
        return f"progress_{self.args.process_index}.json"

    def take_up_progress(self) -> None:
        """Begin, or go on, to count seconds and to sum up the loss."""
        self._began = time()
        if self._resumed is not None:
            self._began -= self._resumed.seconds
            self._tr_loss = torch.tensor(self._resumed.loss, device=self.args.device)
            self._total_loss_scalar = self._resumed.logged_loss
            self._globalstep_last_logged = self._resumed.logged_step
            self._initial_global_step = 0
            self._initial_num_input_tokens_seen = 0

    def enter_epoch(self) -> None:
        """From now on a checkpoint would be in the midst of an epoch."""
        self._epoch_is_over = False

    def leave_epoch(self, control: TrainerControl) -> None:
        """What belongs to the end of an epoch is being done; a checkpoint that waited for it is written after it."""
        self._epoch_is_over = True
        control.should_save = control.should_save or self._save_is_due

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        resumed = self._resumed
        if resumed is not None and resumed.stopped and resumed.max_steps == self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)  # type: ignore[no-untyped-call]  # transformers'

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Save everything, say that it is whole, and only then remove older checkpoints."""
        ends_epoch = self.control.should_training_stop or float(self.state.epoch or 0).is_integer()
        self._save_is_due = ends_epoch and not self._epoch_is_over
        if self._save_is_due:
            return
        folder = Path(self._get_output_dir(trial))
        checkpoint = folder / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if self.args.should_save and checkpoint.exists():
            shutil.rmtree(checkpoint)
        self.accelerator.wait_for_everyone()
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        write_whole(checkpoint / self._progress_file(), self._progress().model_dump_json() + "\n")
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            mark_whole(checkpoint)
            keep_best_and_last(folder, limit=limit, best=best_before(checkpoint))

    def _progress(self) -> Progress:
        return Progress(
            loss=self._tr_loss.item(),
            logged_loss=self._total_loss_scalar,
            logged_step=self._globalstep_last_logged,
            seconds=time() - self._began,
            stopped=self.control.should_training_stop,
            max_steps=self.state.max_steps,
        )

    def _finalize_training(self, trial: Any, num_train_samples: int, start_time: float) -> TrainOutput:
        """As a Trainer does, for all of the training; the last checkpoint stays beside the best one."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            output: TrainOutput = super()._finalize_training(  # type: ignore[no-untyped-call]  # transformers'
                trial, num_train_samples, self._began
            )
        finally:
            self.args.save_total_limit = limit
        return output


class _Watch(TrainerCallback):
    """Tells the trainer where in its loop it is."""

    def __init__(self, trainer: ResumableTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.trainer.take_up_progress()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.trainer.enter_epoch()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.trainer.leave_epoch(control)
