"""The display of a run: a progress bar and, at the end of each epoch, one line."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class RichProgress(TrainerCallback):
    """A progress bar with the loss; scores appear as lines above it.

    Args:
        console: the console to draw on.
        best: the score to show after each evaluation.
    """

    def __init__(self, console: Console, *, best: str) -> None:
        self.best = best
        self.console = console
        self.progress = Progress(
            TextColumn("[bold]training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.bar: TaskID | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draw the bar."""
        if state.is_world_process_zero:
            self.bar = self.progress.add_task("training", total=state.max_steps, completed=state.global_step, note="")
            self.progress.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.progress.update(self.bar, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the loss next to the bar, and a line for each evaluation."""
        if self.bar is None or logs is None:
            return
        if "loss" in logs:
            self.progress.update(self.bar, note=f"loss {logs['loss']:.3f}")
        score = logs.get(f"eval_{self.best}")
        if score is not None:
            self.console.print(f"  epoch {logs.get('epoch', 0):g}: validation {self.best} {score:.4f}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop updating the bar."""
        self.stop()

    def stop(self) -> None:
        """Release the terminal, also after a failure; calling it twice has no effect."""
        if self.bar is not None:
            self.progress.stop()
            self.bar = None
