"""What every format has: a name, suffixes, a reader and a writer that refuses what its format cannot carry."""

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
from nlp_training.data.errors import BlankLabelError, InvalidDataError, OnError
from nlp_training.data.formats.parts import check_readable
from nlp_training.data.notes import Notes
from nlp_training.data.records import Columns

_IDS_KEPT = 100_000
"""Among how many ids before it one may not occur: what is read as a stream must not fill the memory with ids."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read, for the formats that leave a choice.

    Args:
        columns: which column holds what.
        label_names: what integer labels stand for.
        on_error: is told of a record that describes no Document, which is left out; without it, the first is raised.
        delimiter: between the cells of CSV; `None` means that of the format.
        encoding: of a file of text; `None` means UTF-8.
        skip_blank_labels: whether a record whose label is blank is left out and counted.
        notes: counts what is left out.
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
    """One way to keep Documents in a file, or in a folder with a file for each.

    Args:
        name: as configurations and commands name it.
        suffixes: of the files that are in this format unless another is named.
        suffix: of a file that is written under a name without one; empty for a folder.
        read: yields the Documents of a path, in order.
        write: writes Documents to a path that does not exist, or to an empty folder if `folder`. Raises
            `InvalidDocumentError` for the first Document that would not come back as it is.
        folder: whether a data set is a folder.
        takes: the fields of `ReadOptions` that mean something for this format.
        rows: the loader of `datasets` that a data source reads it with, and so by its splits, slices and cache.
    """

    name: str
    suffixes: tuple[str, ...]
    suffix: str
    read: Callable[[Path, ReadOptions], Iterator[Document]]
    write: Callable[[Iterable[Document], Path], None]
    folder: bool = False
    takes: frozenset[str] = frozenset()
    rows: str | None = None


class Unit(NamedTuple):
    """The part of a file that makes one Document: where it begins, and how the Document is made of it."""

    place: str
    make: Callable[[], Document]


def read_units(units: Iterable[Unit], options: ReadOptions) -> Iterator[Document]:
    """Make the Document of every unit; one that cannot be made, or repeats an id, is an error at its place.

    What the units leave out is counted in `options.notes`.
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
    if document.id == place:  # its own, for want of another
        return
    taken = first.setdefault(document.id, place)
    if taken != place:
        raise InvalidDocumentError(
            f"{place}: the id {document.id!r} is already that of {taken}; give every record its own id"
        )
    if len(first) > _IDS_KEPT:
        first.popitem(last=False)


@contextmanager
def located(place: str) -> Iterator[None]:
    """Say where it was that a Document could not be made."""
    try:
        yield
    except BlankLabelError:
        raise
    except InvalidDocumentError as error:
        raise InvalidDocumentError(f"{place}: {error}") from error


def numbered_lines(path: Path, *, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    r"""The lines of a file from 1, without their ends; they end at `\n` or `\r\n` alone.

    Args:
        path: the file.
        encoding: one in which a line feed is one byte; `None` means UTF-8.

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
    """What `numbered_lines` would give for a file that holds `text`."""
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).split("\n"), start=1):
        yield number, decode_line(line)


def json_objects(path: Path, make: Callable[[dict[str, Any], str], Document]) -> Iterator[Unit]:
    """A unit for every line of JSON Lines that is not blank; `make` is given the object and its place."""

    def made(line: bytes, place: str) -> Document:
        with located(place):
            record = parse_json(decode_line(line))
            if not isinstance(record, dict):
                shown = shorten(repr(record), width=60)
                raise InvalidDocumentError(f"the line holds {shown}; write one JSON object a line")
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
    """Write the object that `record` makes of each Document, one a line, if `make` makes the Document of it again."""
    with new_file(path) as file:
        for document in documents:
            written = record(document)
            check_readable(document, partial(make, written, "what was written"), format_name)
            file.write(json.dumps(written, ensure_ascii=False) + "\n")


def read_whole_json(path: Path) -> Any:
    """The one JSON value that a file holds.

    Raises:
        InvalidDataError: it is no UTF-8, or no JSON.
    """
    try:
        return parse_json(decode_line(path.read_bytes()))
    except InvalidDocumentError as error:
        raise InvalidDataError(f"{path}: {error}") from error


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 file to write, in which every line feed stays one; it gets its name when it is whole."""
    with new_path(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def new_path(path: Path) -> Iterator[Path]:
    """A path to write to; what is there gets the name `path` when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
