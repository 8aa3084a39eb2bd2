"""What is to be predicted, an item at a time, out of files larger than memory."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, NamedTuple

from nlp_inference.errors import SourceError
from nlp_inference.files.compression import CODECS, DAMAGED
from nlp_inference.files.formats import FileFormat, format_of
from nlp_inference.items import Item
from nlp_inference.records import USUAL, Columns, read_items

STDIN = "-"


class OpenSource(NamedTuple):
    """A source that is being read.

    Args:
        items: for `Predictor.stream`.
        size: how much there is, in bytes of the file or rows of a table; `None` if nobody knows, as of a pipe.
        read: how much of it has been read.
    """

    items: Iterator[Item]
    size: int | None
    read: Callable[[], int]


@contextmanager
def open_source(
    source: str, *, file_format: FileFormat | None = None, columns: Columns = USUAL
) -> Iterator[OpenSource]:
    """Open a file of lines, compressed or not, a parquet file or a folder of them, or standard input.

    Args:
        source: path, or `-` for standard input.
        file_format: what it is in; `None` goes by the suffix, and takes standard input for plain lines.
        columns: which key or column holds the text and the id.

    Raises:
        SourceError: while the items are read: it breaks off, or is not what it was taken for. What came before it did
            is given.
        OSError: it cannot be opened.
        InvalidSpecError: its suffix says that it is compressed in an unknown way.
        MissingExtraError: it is parquet, and `pyarrow` is not installed.
    """
    chosen = file_format or (FileFormat.LINES if source == STDIN else format_of(source))
    if chosen is FileFormat.PARQUET:
        from nlp_inference.files.parquet import open_parquet

        with open_parquet(source, columns=columns) as opened:
            yield opened
        return
    name = "<stdin>" if source == STDIN else source
    with _binary(source) as file:
        lines = whole_lines(file if chosen is FileFormat.LINES else CODECS[chosen].reader(file), name=name)
        items = read_items(lines, name=name, columns=columns)
        if source != STDIN and file.seekable():
            yield OpenSource(items, os.fstat(file.fileno()).st_size, file.tell)
        else:
            yield OpenSource(items, None, lambda: 0)


@contextmanager
def open_lines(source: str, *, file_format: FileFormat | None = None) -> Iterator[Iterable[bytes]]:
    """The lines of a file, compressed or not, or of standard input if `source` is `-`; see `open_source`."""
    chosen = file_format or (FileFormat.LINES if source == STDIN else format_of(source))
    with _binary(source) as file:
        yield whole_lines(file if chosen not in CODECS else CODECS[chosen].reader(file), name=source)


def whole_lines(lines: Iterable[bytes], *, name: str) -> Iterator[bytes]:
    """The lines as they are.

    Raises:
        SourceError: the file breaks off; says after which line.
    """
    number = 0
    source = iter(lines)
    while True:
        try:
            line = next(source, None)
        except DAMAGED as error:
            raise SourceError(
                f"{name!r} cannot be read beyond line {number}: {type(error).__name__}: {error}; it is torn, or is not "
                "what its suffix says"
            ) from error
        if line is None:
            return
        number += 1
        yield line


def _binary(source: str) -> "nullcontext[IO[bytes]] | IO[bytes]":
    return nullcontext(sys.stdin.buffer) if source == STDIN else Path(source).open("rb")
