"""Progress line on a terminal: documents, their rate, and the remaining time if the size of the source is known."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nlp_inference._utils.terminal import Console

_SECONDS_APART = 0.1


@contextmanager
def showing_progress(
    console: Console, *, size: int | None, read: Callable[[], int], known: int = 0, hidden: bool = False
) -> Iterator[Callable[[], None]]:
    """Show a progress line while the block runs, on a terminal only; yield a function to call after each document.

    Args:
        console: the console for the line.
        size: size of the source in any unit; `None` if it is unknown, and then no remaining time is shown.
        read: returns the size of the part that has been read.
        known: number of documents from an earlier run.
        hidden: whether to show nothing.
    """
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.fields[documents]:,} documents"), _Rate()]
    columns += [TimeElapsedColumn()] if size is None else [BarColumn(), TimeRemainingColumn(elapsed_when_finished=True)]
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal) as progress:
        task = progress.add_task("", total=size, documents=known, rate=0.0)
        began = shown = monotonic()
        done = 0

        def advance() -> None:
            nonlocal done, shown
            done += 1
            now = monotonic()
            if now - shown >= _SECONDS_APART:
                shown = now
                progress.update(task, completed=read(), documents=known + done, rate=done / (now - began))

        yield advance
        seconds = max(monotonic() - began, 1e-9)
        progress.update(task, completed=read(), documents=known + done, rate=done / seconds)


class _Rate(ProgressColumn):
    """Documents per second in this run."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['rate']:,.1f}/s", style="progress.data.speed")
