"""`nlp-inference predict`: texts in, JSON Lines, parquet or highlighted texts out."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from nlp_inference._utils.extras import require
from nlp_inference._utils.garbage_collection import collecting_only_new_objects
from nlp_inference._utils.terminal import Console
from nlp_inference.cli._interrupt import stopping_between_records
from nlp_inference.cli._progress import showing_progress
from nlp_inference.cli._shared import (
    AUTO,
    Backend,
    Device,
    Loading,
    Model,
    Precision,
    Revision,
    TokenBudgetOption,
    Trust,
    load_predictor,
    stop,
)
from nlp_inference.document import Document
from nlp_inference.document.limits import MAX_CHARACTERS, MAX_LINE_BYTES
from nlp_inference.errors import NlpInferenceError, OutputLockedError
from nlp_inference.files.formats import FileFormat, check_written, format_of

if TYPE_CHECKING:
    from nlp_inference.document import FailedDocument
    from nlp_inference.files.records import Columns
    from nlp_inference.files.writing import ResultFile
    from nlp_inference.predict.predictor import Predictor

INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells: 128 plus the number of the signal."""


class OnError(StrEnum):
    """The treatment of a document that fails."""

    RAISE = "raise"
    RECORD = "record"


class Offsets(StrEnum):
    """The unit of the offsets that are written."""

    CODE_POINT = "codepoint"
    UTF_16 = "utf-16"
    UTF_8 = "utf-8"


class Engine(StrEnum):
    """The place of the computation: this process or a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True)
class _Job:
    """The source, the output, and the options of reading and writing them."""

    source: str
    output: Path | None
    input_format: FileFormat | None
    output_format: FileFormat
    columns: "Columns"
    offsets: Offsets
    delimiter: str | None
    encoding: str | None
    max_line_bytes: int
    on_error: OnError
    show: bool
    resume: bool


def predict(  # noqa: PLR0913 - each is an option of the command
    model: Model,
    source: Annotated[
        str,
        typer.Argument(
            help="A UTF-8 file of texts, one per line, or of JSON Lines; a .csv or .tsv file; each also .gz, .bz2 or "
            ".xz; a .parquet file or a folder of them; or - for standard input. A line that begins with {, and each "
            'line of a .jsonl file, must be a JSON object such as {"id": "7", "text": "Hi"}.'
        ),
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Output file: JSON Lines, also .gz, .bz2 or .xz, or .parquet."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an incomplete OUTPUT.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing OUTPUT.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show highlighted predictions instead of JSON Lines.")] = False,
    on_error: Annotated[
        OnError, typer.Option(help="Stop at a document that fails, or record it and continue.")
    ] = OnError.RECORD,
    input_format: Annotated[FileFormat | None, typer.Option(help="Format of SOURCE. Default: by its suffix.")] = None,
    output_format: Annotated[FileFormat | None, typer.Option(help="Format of OUTPUT. Default: by its suffix.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Key or column of the text. Default: `text`.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Key or column of the id. Default: `id`.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Delimiter of a .csv or .tsv SOURCE.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of a .csv or .tsv SOURCE, such as cp1252. Default: UTF-8.")
    ] = None,
    offsets: Annotated[
        Offsets, typer.Option(help="Unit of the offsets: utf-16 for JavaScript, Java and C#, utf-8 for Go and Rust.")
    ] = Offsets.CODE_POINT,
    max_characters: Annotated[
        int, typer.Option(min=1, help="A document with more characters is recorded as failed.")
    ] = MAX_CHARACTERS,
    max_line_bytes: Annotated[
        int, typer.Option(min=1, help="A line or row of SOURCE with more bytes is recorded as failed.")
    ] = MAX_LINE_BYTES,
    backend: Backend = AUTO,
    device: Device = None,
    dtype: Precision = None,
    revision: Revision = "main",
    trust_remote_code: Trust = False,
    token_budget: TokenBudgetOption = None,
    engine: Annotated[
        Engine, typer.Option(help="Predict in this process, or on the Ray cluster of RAY_ADDRESS into a folder OUTPUT.")
    ] = Engine.LOCAL,
) -> None:
    """Predict each line of SOURCE. Predictions are highlighted in a terminal, otherwise written as JSON Lines.

    The exit status is 0 if every document has a record, including records of failed documents; 1 if the command
    failed; 2 if its arguments are invalid; 130 after Ctrl-C. Written records are kept, and --resume continues there.
    """
    from nlp_inference.files.records import Columns

    messages = Console(stderr=True, soft_wrap=True)
    loading = Loading(model, device, dtype, revision, trust_remote_code, backend, token_budget, max_characters)
    path = None if output is None else Path(output)
    try:
        known = format_of(output) if output is not None else FileFormat.LINES
        check_written(output or "", output_format or known)
        job = _Job(
            source=source,
            output=path,
            input_format=input_format,
            output_format=output_format or known,
            columns=Columns(text_column, id_column),
            offsets=offsets,
            delimiter=delimiter,
            encoding=encoding,
            max_line_bytes=max_line_bytes,
            on_error=on_error,
            show=show or (output is None and offsets is Offsets.CODE_POINT and sys.stdout.isatty()),
            resume=resume,
        )
        if job.show and offsets is not Offsets.CODE_POINT:
            raise typer.BadParameter("--offsets applies to JSON Lines and parquet; remove --show")
        if engine is Engine.RAY:
            _predict_on_ray(job, loading, output=output, overwrite=overwrite, messages=messages)
            return
        with _locked(path):
            _check_output(job, overwrite=overwrite)
            _predict(job, loading, messages)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe; typer ends the command silently
        raise
    except (NlpInferenceError, OSError) as error:
        exit_ = stop(error, messages)
        if not isinstance(error, OutputLockedError):
            _print_resume_hint(path, messages)
        raise exit_ from error
    except KeyboardInterrupt as error:
        messages.print("interrupted", style="yellow")
        _print_resume_hint(path, messages)
        raise typer.Exit(INTERRUPTED) from error


@contextmanager
def _locked(output: Path | None) -> Iterator[None]:
    """Hold the lock of the output, if there is an output that can be locked."""
    from nlp_inference.files.resuming import locked_output

    with nullcontext() if output is None or not output.parent.is_dir() else locked_output(output):
        yield


def _print_resume_hint(output: Path | None, messages: Console) -> None:
    from nlp_inference.files.resuming import progress_file

    if output is not None and progress_file(output).is_file():
        messages.print(f"{output} contains all predictions so far; continue with --resume", markup=False)


def _check_output(job: _Job, *, overwrite: bool) -> None:
    """Reject, before the model is loaded, options that would lose data or fail at the end."""
    output = job.output
    if output is None:
        if job.resume or overwrite or job.output_format is not FileFormat.LINES:
            raise typer.BadParameter("--resume, --overwrite and --output-format apply to a file: name it with --output")
        return
    if job.output_format is FileFormat.PARQUET:
        require("pyarrow.parquet", extra="parquet")
    if job.resume and (overwrite or job.show):
        raise typer.BadParameter("--resume cannot be combined with --overwrite or --show")
    if job.source != "-" and output.exists() and Path(job.source).exists() and output.samefile(job.source):
        raise typer.BadParameter(f"{str(output)!r} is also the source, which would be lost; write to another file")
    if not output.parent.is_dir():
        raise typer.BadParameter(f"the folder {str(output.parent)!r} does not exist; create it, or use another one")
    if output.is_dir() and job.output_format is not FileFormat.PARQUET:
        raise typer.BadParameter(f"{str(output)!r} is a folder; name a file, or pass --output-format parquet")
    has_content = any(output.iterdir()) if output.is_dir() else output.is_file() and output.stat().st_size
    if has_content and not (overwrite or job.resume):
        raise typer.BadParameter(
            f"{str(output)!r} already exists; resume it with --resume, or replace it with --overwrite"
        )


def _predict_on_ray(job: _Job, loading: Loading, *, output: str | None, overwrite: bool, messages: Console) -> None:
    if output is None or job.source == "-" or job.show:
        raise typer.BadParameter("--engine ray reads files and writes a folder: name it with --output, without --show")
    if job.resume and overwrite:
        raise typer.BadParameter("--resume cannot be combined with --overwrite")
    if job.delimiter is not None or job.encoding is not None:
        raise typer.BadParameter("--delimiter and --encoding apply to CSV, which --engine ray does not read")
    if isinstance(loading.token_budget, str):  # each machine would measure another number
        raise typer.BadParameter(
            "--engine ray uses one --token-budget for all machines: measure it on one machine, and pass the number"
        )
    from nlp_inference.cli._cluster import predict_on_cluster

    require("ray.data", extra="ray")
    from nlp_inference.integrations.ray.job import Job

    wanted = Job(
        loading.model,
        job.source,
        output,  # unchanged, because a Path would remove one of the slashes of s3://
        input_format=job.input_format,
        output_format=job.output_format,
        columns=job.columns,
        offsets=job.offsets.value,
        on_error=job.on_error.value,
        backend=loading.backend,
        device=loading.device,
        dtype=_dtype_of(loading),
        revision=loading.revision,
        trust_remote_code=loading.trust_remote_code,
        token_budget=loading.token_budget,
        max_characters=loading.max_characters,
        max_line_bytes=job.max_line_bytes,
    )
    with _locked(None if "://" in output else Path(output)):
        predict_on_cluster(wanted, resume=job.resume, overwrite=overwrite, messages=messages)


def _predict(job: _Job, loading: Loading, messages: Console) -> None:
    from nlp_inference._utils.quiet import one_line_warnings
    from nlp_inference.files.reading import open_source
    from nlp_inference.files.resuming import checked_against

    tally = _Tally()
    with ExitStack() as stack:
        source = open_source(
            job.source,
            file_format=job.input_format,
            columns=job.columns,
            delimiter=job.delimiter,
            encoding=job.encoding,
            max_line_bytes=job.max_line_bytes,
        )
        opened = stack.enter_context(source)
        predictor = load_predictor(loading, messages=messages)
        stack.enter_context(collecting_only_new_objects())
        stack.enter_context(one_line_warnings(messages))
        results = stack.enter_context(_writing(job, predictor))
        progress = showing_progress(
            messages, size=opened.size, read=opened.read, known=results.written, hidden=job.show
        )
        advance = stack.enter_context(progress)
        items = checked_against(opened.items, results.records(), output=str(job.output)) if job.resume else opened.items
        check_interrupt = stack.enter_context(stopping_between_records())
        for result in predictor.stream(items, on_error=job.on_error.value, skip=results.written):
            check_interrupt()
            tally.add(result)
            results.write(result)
            advance()
    for line in tally.lines():
        messages.print(line, style="yellow", highlight=False)


@contextmanager
def _writing(job: _Job, predictor: "Predictor") -> Iterator["ResultFile"]:
    from nlp_inference.files.provenance import Provenance
    from nlp_inference.files.resuming import writing_file

    if job.output is not None and not job.show:
        provenance = Provenance.of(
            predictor, output_format=job.output_format, columns=job.columns, offsets=job.offsets.value
        )
        with writing_file(job.output, provenance=provenance, resume=job.resume) as file:
            yield file
    elif job.output is not None:
        with job.output.open("w", encoding="utf-8", newline="\n") as text:
            yield _Screen(text, show=True, offsets=job.offsets)
    else:
        if isinstance(sys.stdout, io.TextIOWrapper):  # replacements, as in a notebook, accept any text
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        yield _Screen(sys.stdout, show=job.show, offsets=job.offsets)


class _Screen:
    """Output to a text stream: highlighted for a terminal, or as JSON Lines."""

    written = 0

    def __init__(self, text: IO[str], *, show: bool, offsets: Offsets) -> None:
        self._text, self._offsets = text, offsets
        self._console = Console(file=text) if show else None

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Return no records, because a stream cannot be resumed."""
        return iter(())

    def write(self, result: "Document | FailedDocument") -> None:
        """Show a result, or write it as a line."""
        if self._console is not None:
            self._console.print(result)
        else:
            from nlp_inference.files.records import to_json_line

            self._text.write(to_json_line(result, offsets=self._offsets.value) + "\n")

    def close(self, *, failed: bool) -> None:
        """Do nothing, because the caller closes the stream."""


class _Tally:
    """Counter of the documents that failed or were not read completely."""

    def __init__(self) -> None:
        self._failed = self._incomplete = self._truncated = 0

    def add(self, result: "Document | FailedDocument") -> None:
        if not isinstance(result, Document):
            self._failed += 1
        elif result.coverage is not None:
            self._incomplete += not result.coverage.complete
            self._truncated += result.coverage.truncated

    def lines(self) -> Iterator[str]:
        if self._failed:
            yield f"{self._failed} document(s) failed; each is recorded in the output with its id"
        if self._incomplete:
            yield (
                f"{self._incomplete} document(s) were not read completely, {self._truncated} of them truncated; "
                "the coverage of each states what was not read"
            )


def _dtype_of(loading: Loading) -> str:
    from nlp_inference.backends.choice import choose_backend, choose_dtype

    backend = choose_backend(loading.model, backend=loading.backend, dtype=loading.dtype)
    return choose_dtype(loading.model, backend=backend, dtype=loading.dtype)
