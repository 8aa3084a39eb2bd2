"""`nlp-inference predict`: texts in, JSON Lines or highlighted texts out."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nlp_inference.cli._shared import (
    Device,
    Dtype,
    Loading,
    Model,
    Precision,
    Revision,
    Trust,
    load_predictor,
    reading,
    stop,
)
from nlp_inference.document import Document
from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.predictor import FailedDocument


class OnError(StrEnum):
    """What to do with a document that fails."""

    RAISE = "raise"
    RECORD = "record"


def predict(  # noqa: PLR0913 - each is an option of the command
    model: Model,
    source: Annotated[
        str,
        typer.Argument(
            help="A UTF-8 file of texts, one a line, or - for standard input. A line that begins with { must be a "
            'JSON object such as {"id": "7", "text": "Hi"}.'
        ),
    ],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write JSON Lines to this file.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Highlight what was found, in place of JSON Lines.")] = False,
    on_error: Annotated[OnError, typer.Option(help="Stop at a document that fails, or go on.")] = OnError.RECORD,
    device: Device = None,
    dtype: Precision = Dtype.FLOAT32,
    revision: Revision = "main",
    trust_remote_code: Trust = False,
) -> None:
    """Predict each line of SOURCE. In a terminal the findings are highlighted, elsewhere JSON Lines are written."""
    from nlp_inference.records import read_items, to_json_line

    messages = Console(stderr=True, soft_wrap=True)
    show = show or (output is None and sys.stdout.isatty())
    tally = _Tally()
    _refuse_overwriting(source, output)
    predictor = load_predictor(Loading(model, device, dtype, revision, trust_remote_code), messages=messages)
    try:
        with reading(source) as lines, _writing(output) as sink, _progress(messages, hidden=show) as advance:
            screen = Console(file=sink) if show else None
            items = read_items(lines, name="<stdin>" if source == "-" else source)
            for result in predictor.stream(items, on_error=on_error.value):
                tally.add(result)
                if screen is not None:
                    screen.print(result)
                else:
                    sink.write(to_json_line(result) + "\n")
                advance()
    except BrokenPipeError:  # the reader, such as `head`, has enough; typer ends the command in silence
        raise
    except (NlpInferenceError, OSError) as error:
        raise stop(error, messages) from error
    for line in tally.lines():
        messages.print(line, style="yellow", highlight=False)


def _refuse_overwriting(source: str, output: Path | None) -> None:
    if output is not None and source != "-" and output.is_file() and Path(source).exists() and output.samefile(source):
        raise typer.BadParameter(f"{str(output)!r} is also the source, which would be lost; write to another file")


@contextmanager
def _writing(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # what replaces it, such as a notebook's, takes any text
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8", newline="\n") as file:
            yield file


@contextmanager
def _progress(console: Console, *, hidden: bool) -> Iterator["_Advance"]:
    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} documents"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal) as progress:
        yield _Advance(progress)


class _Tally:
    """Counts the documents that need a second look."""

    def __init__(self) -> None:
        self._failed = self._not_whole = self._truncated = 0

    def add(self, result: "Document | FailedDocument") -> None:
        if not isinstance(result, Document):
            self._failed += 1
        elif result.coverage is not None:
            self._not_whole += not result.coverage.complete
            self._truncated += result.coverage.truncated

    def lines(self) -> Iterator[str]:
        if self._failed:
            yield f"{self._failed} document(s) failed; each is recorded in the output with its id"
        if self._not_whole:
            yield (
                f"{self._not_whole} document(s) were not read whole, {self._truncated} of them cut off; "
                "each says what was not read"
            )


class _Advance:
    """Counts documents on a progress line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("")

    def __call__(self) -> None:
        self._progress.advance(self._task)
