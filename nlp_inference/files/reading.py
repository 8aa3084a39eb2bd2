"""Reading of items for prediction, one at a time, from files that are larger than memory."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

from nlp_inference.document.inputs import USUAL, Columns, Item
from nlp_inference.document.limits import MAX_LINE_BYTES
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError, SourceError
from nlp_inference.files.compression import CODECS, DAMAGED
from nlp_inference.files.formats import DELIMITERS, FileFormat, format_of, table_in
from nlp_inference.files.json_lines import LineReader, TooLongLine, bounded_lines, decode_line, parse_json
from nlp_inference.files.records import holds_objects, read_items

STDIN = "-"

T = TypeVar("T")


class OpenSource(NamedTuple):
    """An open source.

    Args:
        items: the items, for `Predictor.stream`.
        size: size in bytes of the file or in rows of a table; `None` if it is unknown, as for a pipe.
        read: returns the size of the part that has been read.
    """

    items: Iterator[Item]
    size: int | None
    read: Callable[[], int]


class ReadingOptions(NamedTuple):
    """Options of reading a source.

    Args:
        file_format: the format; `None` detects it from the suffix, and means plain lines for standard input.
        columns: the keys or columns that contain the text and the id.
        delimiter: delimiter of CSV and TSV; `None` means a comma, or a tab.
        encoding: encoding of CSV and TSV; `None` means UTF-8.
        max_line_bytes: size limit of a line, or a row of a table; a longer one is an `UnreadableItem`. `None` means no
            limit.
    """

    file_format: FileFormat | None = None
    columns: Columns = USUAL
    delimiter: str | None = None
    encoding: str | None = None
    max_line_bytes: int | None = MAX_LINE_BYTES

    def format_of(self, source: str) -> FileFormat:
        """Return the format of a source."""
        return self.file_format or (FileFormat.LINES if source == STDIN else format_of(source))

    def table_of(self, source: str) -> FileFormat | None:
        """Return CSV or TSV if that is the format of the source, compressed or not, or `None`."""
        chosen = self.format_of(source)
        if chosen in DELIMITERS:
            return chosen
        return table_in(source) if self.file_format is None and source != STDIN else None


@contextmanager
def open_source(
    source: str,
    *,
    file_format: FileFormat | None = None,
    columns: Columns = USUAL,
    delimiter: str | None = None,
    encoding: str | None = None,
    max_line_bytes: int | None = MAX_LINE_BYTES,
) -> Iterator[OpenSource]:
    """Open a file of lines or of CSV, compressed or not, a parquet file or a folder of them, or standard input.

    Args:
        source: a path, or `-` for standard input.
        file_format: see `ReadingOptions`, also for the other options.
        columns: the keys or columns that contain the text and the id.
        delimiter: delimiter of CSV and TSV.
        encoding: encoding of CSV and TSV.
        max_line_bytes: size limit of a line, or a row of a table.

    Raises:
        SourceError: while iterating, after all readable items: the source is truncated or not in the expected format.
        OSError: the source cannot be opened.
        InvalidSpecError: its suffix is that of an unsupported compression, or an option does not apply to its format.
        MissingExtraError: it is parquet, and `pyarrow` is not installed.
    """
    options = ReadingOptions(file_format, columns, delimiter, encoding, max_line_bytes)
    _check_options(source, options)
    if options.format_of(source) is FileFormat.PARQUET:
        from nlp_inference.files.parquet import open_parquet

        with open_parquet(source, columns=columns, max_row_bytes=max_line_bytes) as opened:
            yield opened
        return
    with _binary(source) as file:
        items = _items(file, source, options)
        if source != STDIN and file.seekable():
            yield OpenSource(items, os.fstat(file.fileno()).st_size, file.tell)
        else:
            yield OpenSource(items, None, lambda: 0)


def _check_options(source: str, options: ReadingOptions) -> None:
    if options.max_line_bytes is not None and options.max_line_bytes < 1:
        raise InvalidSpecError(f"max_line_bytes is {options.max_line_bytes!r}; it must be at least 1")
    given = [name for name in ("delimiter", "encoding") if getattr(options, name) is not None]
    if given and options.table_of(source) is None:
        raise InvalidSpecError(
            f"{given[0]} applies to CSV and TSV, but {source!r} is {options.format_of(source).value}; set the format "
            "with --input-format csv, or remove the option"
        )


def _items(file: IO[bytes], source: str, options: ReadingOptions) -> Iterator[Item]:
    """Return the items of a binary file that is not parquet."""
    name = "<stdin>" if source == STDIN else source
    codec, table = CODECS.get(options.format_of(source)), options.table_of(source)
    plain = file if codec is None else codec.reader(file)
    if table is not None:
        from nlp_inference.files.delimited import read_delimited

        rows = read_delimited(
            plain,
            name=name,
            columns=options.columns,
            delimiter=options.delimiter or DELIMITERS[table],
            encoding=options.encoding,
            max_bytes=options.max_line_bytes,
        )
        return _with_source_errors(rows, name=name)
    lines = checked_lines(plain, name=name, max_bytes=options.max_line_bytes)
    objects_only = options.file_format is None and source != STDIN and holds_objects(source)
    return read_items(
        _checked_json(lines, name) if objects_only and ".json" in Path(source).suffixes else lines,
        name=name,
        columns=options.columns,
        objects_only=objects_only,
        max_bytes=options.max_line_bytes,
    )


def _checked_json(lines: Iterable[bytes | TooLongLine], name: str) -> Iterator[bytes | TooLongLine]:
    """Yield the lines of a `*.json` file if it is JSON Lines; reject one JSON value that spans many lines."""
    begun = False
    for line in lines:
        if not begun and isinstance(line, bytes) and line.strip():
            begun = True
            try:
                first = parse_json(decode_line(line))
            except InvalidDocumentError:
                first = None
            if not isinstance(first, dict):
                raise SourceError(
                    f"{name!r} does not begin with a JSON object on one line; expected JSON Lines with one object per "
                    "line. Convert an array with `jq -c '.[]' FILE.json > FILE.jsonl`"
                )
        yield line


@contextmanager
def open_lines(source: str, *, file_format: FileFormat | None = None) -> Iterator[Iterable[bytes]]:
    """Open the lines of a file, compressed or not, or of standard input if `source` is `-`; see `open_source`."""
    chosen = file_format or (FileFormat.LINES if source == STDIN else format_of(source))
    with _binary(source) as file:
        lines = checked_lines(
            file if chosen not in CODECS else CODECS[chosen].reader(file), name=source, max_bytes=None
        )
        yield (line for line in lines if isinstance(line, bytes))


def checked_lines(file: LineReader, *, name: str, max_bytes: int | None) -> Iterator[bytes | TooLongLine]:
    """Yield the lines of a file; see `bounded_lines`.

    Raises:
        SourceError: the file is truncated or damaged; the message names the last readable line.
    """
    return _with_source_errors(bounded_lines(file, max_bytes=max_bytes), name=name)


def _with_source_errors(items: Iterator[T], *, name: str) -> Iterator[T]:
    number = 0
    while True:
        try:
            item = next(items, None)
        except SourceError:
            raise
        except DAMAGED as error:
            raise SourceError(
                f"{name!r} cannot be read beyond line {number}: {type(error).__name__}: {error}; it is truncated, or "
                "its suffix is wrong"
            ) from error
        if item is None:
            return
        number += 1
        yield item


def _binary(source: str) -> "nullcontext[IO[bytes]] | IO[bytes]":
    return nullcontext(sys.stdin.buffer) if source == STDIN else Path(source).open("rb")
