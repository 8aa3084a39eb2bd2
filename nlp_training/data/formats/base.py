"""The definition of a format: a name, suffixes, a reader, and a writer that raises an error rather than lose data."""

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.files.json_lines import BYTE_ORDER_MARK, decode_line, parse_json
from nlp_training.data.columns import Columns
from nlp_training.data.errors import BlankLabelError, InvalidDataError, OnError
from nlp_training.data.formats.parts import check_readable
from nlp_training.data.notes import Notes

_IDS_KEPT = 100_000
"""The number of previous ids that are checked for repetitions, which bounds the memory when reading a stream."""


@dataclass(frozen=True)
class ReadOptions:
    """Options of reading, for the formats that support them.

    Args:
        columns: the column of each field.
        label_names: the names of integer labels.
        on_error: receives the error of an invalid record, which is skipped; without it, the first error is raised.
        delimiter: the delimiter of CSV; `None` means that of the format.
        encoding: the encoding of a text file; `None` means UTF-8.
        skip_blank_labels: whether to skip and count records with a blank label.
        notes: counts what is skipped.
    """

    columns: Columns = field(default_factory=Columns)
    label_names: tuple[str, ...] | None = None
    on_error: OnError | None = None
    delimiter: str | None = None
    encoding: str | None = None
    skip_blank_labels: bool = False
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True)
class Format:
    """A file format of Documents, or a folder format with one file per Document.

    Args:
        name: the name in configurations and commands.
        suffixes: the suffixes of files that are in this format by default.
        suffix: the suffix of a written file whose name has none; empty for a folder.
        read: yields the Documents of a path, in order.
        write: writes Documents to a path that does not exist, or to an empty folder if `folder`. Raises
            `InvalidDocumentError` for the first Document that reading would not restore exactly.
        folder: whether a data set is a folder.
        takes: the fields of `ReadOptions` that this format supports.
        rows: the loader of `datasets` for data sources in this format, with its splits, slices and cache.
        keeps_predictions: whether the format stores predictions apart from gold.
    """

    name: str
    suffixes: tuple[str, ...]
    suffix: str
    read: Callable[[Path, ReadOptions], Iterator[Document]]
    write: Callable[[Iterable[Document], Path], None]
    folder: bool = False
    takes: frozenset[str] = frozenset()
    rows: str | None = None
    keeps_predictions: bool = False


class Unit(NamedTuple):
    """The part of a file for one Document: its location, and a function that makes the Document."""

    place: str
    make: Callable[[], Document]


def read_units(units: Iterable[Unit], options: ReadOptions) -> Iterator[Document]:
    """Make the Document of every unit. An invalid unit or a repeated id is an error with its location.

    `options.notes` counts what the units skip.
    """
    first: OrderedDict[str | None, str] = OrderedDict()
    for unit in units:
        try:
            with options.notes.collecting():
                document = unit.make()
            _check_id(document, unit.place, first)
        except BlankLabelError:
            options.notes.blank += 1
        except InvalidDocumentError as error:
            if options.on_error is None:
                raise
            options.on_error(error)
        else:
            yield document


def _check_id(document: Document, place: str, first: OrderedDict[str | None, str]) -> None:
    if document.id == place:  # the default id of a record without one
        return
    taken = first.setdefault(document.id, place)
    if taken != place:
        raise InvalidDocumentError(f"{place}: {taken} already has the id {document.id!r}; give every record its own id")
    if len(first) > _IDS_KEPT:
        first.popitem(last=False)


@contextmanager
def located(place: str) -> Iterator[None]:
    """Add the location to an error of making a Document."""
    try:
        yield
    except BlankLabelError:
        raise
    except InvalidDocumentError as error:
        message = str(error).removeprefix(f"document {place!r}: ")  # a document without an id is named by its location
        raise InvalidDocumentError(f"{place}: {message}") from error


def numbered_lines(path: Path, *, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a file, numbered from 1, without their ends. Only `\n` and `\r\n` end a line.

    Args:
        path: the file.
        encoding: an encoding in which a line feed is one byte; `None` means UTF-8.

    Raises:
        InvalidDataError: a line is not in this encoding.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                content = decode_line(line if encoding is None else line.decode(encoding))
            except (InvalidDocumentError, UnicodeDecodeError) as error:
                raise InvalidDataError(f"{path}:{number}: {error}") from error
            yield number, content.removeprefix(BYTE_ORDER_MARK) if number == 1 else content


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a text, like `numbered_lines` for a file."""
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).split("\n"), start=1):
        yield number, decode_line(line)


def json_objects(path: Path, make: Callable[[dict[str, Any], str], Document]) -> Iterator[Unit]:
    """Yield a unit for every line of JSON Lines that is not blank. `make` receives the object and its location."""

    def made(line: bytes, place: str) -> Document:
        with located(place):
            record = parse_json(decode_line(line))
            if not isinstance(record, dict):
                shown = shorten(repr(record), width=60)
                raise InvalidDocumentError(f"the line contains {shown}; write one JSON object per line")
            return make(record, place)

    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                place = f"{path}:{number}"
                yield Unit(place, partial(made, line, place))


def write_json_objects(
    documents: Iterable[Document],
    path: Path,
    record: Callable[[Document], dict[str, Any]],
    make: Callable[[dict[str, Any], str], Document],
    *,
    format_name: str,
) -> None:
    """Write one object per line, which `record` makes of each Document and from which `make` must restore it."""
    with new_file(path) as file:
        for document in documents:
            written = record(document)
            check_readable(document, partial(make, written, "what was written"), format_name)
            file.write(json.dumps(written, ensure_ascii=False) + "\n")


def read_whole_json(path: Path) -> Any:
    """Return the JSON value of a file.

    Raises:
        InvalidDataError: the file is not UTF-8 or not JSON.
    """
    try:
        return parse_json(decode_line(path.read_bytes()))
    except InvalidDocumentError as error:
        raise InvalidDataError(f"{path}: {error}") from error


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 file to write without newline translation, which replaces `path` when it is complete."""
    with new_path(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def new_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces `path` when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
