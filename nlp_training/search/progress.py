"""What a person sees of a search: how many trials have ended, how far the present one is, and a line for each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nlp_training.search.trial_tables import short_names, shown_value


class TrialProgress(TrainerCallback):
    """Two bars, of the trials and of the steps of the present one; trials that ended are lines above them.

    Args:
        console: where to draw.
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
        """Draw the bars while trials run."""
        with self.progress:
            self._trials = self.progress.add_task("trials", completed=ended, total=wanted)
            self._steps = self.progress.add_task("steps", total=None)
            yield

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin the bar of steps."""
        if self._steps is not None:
            self.progress.reset(self._steps, total=state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar of steps."""
        if self._steps is not None:
            self.progress.update(self._steps, completed=state.global_step)

    def end(self, number: int, values: Mapping[str, Any], *, how: str) -> None:
        """A line for a trial that ended."""
        names = short_names(list(values))
        said = ", ".join(f"{names[key]} {shown_value(value)}" for key, value in values.items())
        self.console.print(f"  trial {number}: {how}; {said}", highlight=False, markup=False, soft_wrap=True)
        if self._trials is not None:
            self.progress.advance(self._trials)
