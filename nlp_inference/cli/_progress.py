"""How far a prediction is, on a line of a terminal: documents, their rate, and the time left where the end is known."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
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

_SECONDS_APART = 0.1


@contextmanager
def showing_progress(
    console: Console, *, size: int | None, read: Callable[[], int], known: int = 0, hidden: bool = False
) -> Iterator[Callable[[], None]]:
    """Show a line while the block runs, on a terminal only, and give what to call after each document.

    Args:
        console: where to.
        size: how much there is to read, in any unit; `None` if nobody knows, and then no time left is shown.
        read: tells how much has been read.
        known: documents that were there before this run.
        hidden: show nothing.
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
    """Documents a second, of this run."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['rate']:,.1f}/s", style="progress.data.speed")
