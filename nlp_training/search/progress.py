"""The progress display of a search: bars for trials and steps, and a line for each finished trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nlp_training.search.trial_tables import short_names, shown_value


class TrialProgress(TrainerCallback):
    """Two progress bars, for the trials and for the steps of the current trial, below lines of finished trials.

    Args:
        console: the console to draw on.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._trials: TaskID | None = None
        self._steps: TaskID | None = None

    @contextmanager
    def shown(self, ended: int, wanted: int) -> Iterator[None]:
        """Draw the bars inside the block."""
        with self.progress:
            self._trials = self.progress.add_task("trials", completed=ended, total=wanted)
            self._steps = self.progress.add_task("steps", total=None)
            yield

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Reset the bar of steps."""
        if self._steps is not None:
            self.progress.reset(self._steps, total=state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Update the bar of steps."""
        if self._steps is not None:
            self.progress.update(self._steps, completed=state.global_step)

    def end(self, number: int, values: Mapping[str, Any], *, how: str) -> None:
        """Print a line for a finished trial."""
        names = short_names(list(values))
        settings = ", ".join(f"{names[key]} {shown_value(value)}" for key, value in values.items())
        self.console.print(f"  trial {number}: {how}; {settings}", highlight=False, markup=False, soft_wrap=True)
        if self._trials is not None:
            self.progress.advance(self._trials)
