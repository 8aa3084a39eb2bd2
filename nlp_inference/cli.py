"""The command `nlp-inference`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nlp_inference.errors import NlpInferenceError

app = typer.Typer(no_args_is_help=True, help="Predict with models that nlp-training made.")


class OnError(StrEnum):
    """What to do with a document that fails."""

    RAISE = "raise"
    RECORD = "record"


@app.callback()
def _commands() -> None:
    """Keep `predict` a sub-command while it is the only one."""


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A folder that training wrote, or a Hub id.")],
    source: Annotated[str, typer.Argument(help="A file of text lines or JSON Lines, or - for standard input.")],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write JSON Lines to this file.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Highlight what was found, in place of JSON Lines.")] = False,
    on_error: Annotated[OnError, typer.Option(help="Stop at a document that fails, or go on.")] = OnError.RECORD,
    device: Annotated[str | None, typer.Option(help="Such as cpu or cuda:1; a GPU if there is one.")] = None,
    dtype: Annotated[str, typer.Option(help="Precision of the weights: float32 or bfloat16.")] = "float32",
    revision: Annotated[str, typer.Option(help="Branch, tag or commit on the Hub.")] = "main",
) -> None:
    """Predict each line of SOURCE. In a terminal the findings are highlighted, elsewhere JSON Lines are written."""
    from nlp_inference.predictor import FailedDocument, Predictor
    from nlp_inference.records import read_items, to_json_line

    messages = Console(stderr=True)
    show = show or (output is None and sys.stdout.isatty())
    failed = 0
    try:
        predictor = Predictor.from_pretrained(model, device=device, dtype=dtype, revision=revision)
        with _reading(source) as lines, _writing(output) as sink, _progress(messages, hidden=show) as advance:
            screen = Console(file=sink) if show else None
            for result in predictor.stream(
                read_items(lines, name="<stdin>" if source == "-" else source), on_error=on_error.value
            ):
                failed += isinstance(result, FailedDocument)
                if screen is not None:
                    screen.print(result)
                else:
                    sink.write(to_json_line(result) + "\n")
                advance()
    except (NlpInferenceError, OSError) as error:
        messages.print(f"{type(error).__name__}: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(1) from error
    if failed:
        messages.print(f"{failed} document(s) failed; each is recorded in the output with its id", style="yellow")


@contextmanager
def _reading(source: str) -> Iterator[IO[str]]:
    if source == "-":
        sys.stdin.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]  # it is a TextIOWrapper
        yield sys.stdin
    else:
        with Path(source).open(encoding="utf-8", newline="\n") as file:
            yield file


@contextmanager
def _writing(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8", newline="\n") as file:
            yield file


@contextmanager
def _progress(console: Console, *, hidden: bool) -> Iterator["_Advance"]:
    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} documents"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal) as progress:
        yield _Advance(progress)


class _Advance:
    """Counts documents on a progress line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("")

    def __call__(self) -> None:
        self._progress.advance(self._task)


if __name__ == "__main__":
    app()
