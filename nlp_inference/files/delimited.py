"""CSV and TSV (https://www.rfc-editor.org/rfc/rfc4180): a header, then one document per row, in bounded memory."""

import csv
import io
from codecs import lookup
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, NamedTuple

from nlp_inference.document.inputs import Columns, Item, UnreadableItem
from nlp_inference.errors import InvalidDocumentError, SourceError, TooLargeError
from nlp_inference.files.dialects import check_dialect, delimiter_hint, encoding_of
from nlp_inference.files.records import check_columns, row_to_item, too_long

_SKIPPED_AT_ONCE = 1 << 20


class _Lines:
    """The lines of a file for `csv.reader`, with a limit on their length.

    Args:
        file: opened without translation of line ends.
        most: greatest number of characters of a row, which may have several lines in quotes.

    Attributes:
        skipped: number of characters of the last line that was too long and was replaced by an empty line.
        row: number of characters of the current row.
    """

    def __init__(self, file: IO[str], *, most: int | None) -> None:
        self._file, self._most = file, most
        self.skipped = self.row = 0

    def __iter__(self) -> Iterator[str]:
        most = -1 if self._most is None else self._most + 1
        while line := self._file.readline(most):
            if self._most is not None and len(line) > self._most and not line.endswith(("\n", "\r")):
                self.skipped = len(line)
                while not line.endswith(("\n", "\r")) and (line := self._file.readline(_SKIPPED_AT_ONCE)):
                    self.skipped += len(line)
                line = "\n"
            self.row += len(line)
            if self._most is not None and self.row > self._most + 2:
                raise TooLargeError(f"a quoted cell does not end within {self._most} characters; close the quotation")
            yield line


def read_delimited(
    file: IO[bytes],
    *,
    name: str,
    columns: Columns,
    delimiter: str,
    encoding: str | None,
    max_bytes: int | None,
) -> Iterator[Item]:
    """Read one item per row: the text, the text pair and the id from their columns, other non-empty cells as metadata.

    Args:
        file: at its beginning.
        name: the name of the source; `name:line` is the location of a row that cannot be read.
        columns: the columns that contain the text and the id.
        delimiter: the delimiter of cells.
        encoding: the encoding of the file; `None` means UTF-8.
        max_bytes: greatest number of characters of a line, and of a row including its quoted line breaks.

    Raises:
        InvalidSpecError: the encoding does not exist, or the delimiter is not one character.
        SourceError: while iterating: a column is missing, the file has another encoding, or a quoted cell never ends.
    """
    check_dialect(delimiter, encoding)
    codec = lookup(encoding or "utf-8").name
    text = io.TextIOWrapper(file, encoding="utf-8-sig" if codec == "utf-8" else codec, newline="")
    try:
        yield from _read(text, name, columns, delimiter, max_bytes)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{name!r} is not in {encoding or 'UTF-8'} ({error.reason}); pass its encoding, such as --encoding "
            f"{encoding_of(error)}"
        ) from error
    finally:
        with suppress(ValueError):  # the file may be closed before the last row is read
            text.detach()


class _Row(NamedTuple):
    """A row: its first line, its cells or the problem with it, and the number of skipped characters."""

    line: int
    cells: list[str]
    problem: str = ""
    skipped: int = 0


def _rows(lines: _Lines, name: str, delimiter: str) -> Iterator[_Row]:
    """Yield the rows; an unreadable one has a problem or a number of skipped characters."""
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1
    while True:
        lines.row = lines.skipped = 0
        try:
            cells = next(rows, None)
        except TooLargeError as error:
            raise SourceError(f"{name!r} cannot be read beyond line {line}: {error}") from error
        except csv.Error as error:
            yield _Row(line, [], f"{error}; quote cells that contain a quote or a line break", lines.skipped)
        else:
            if cells is None:
                return
            yield _Row(line, cells, skipped=lines.skipped)
        line = rows.line_num + 1


def _read(text: IO[str], name: str, columns: Columns, delimiter: str, most: int | None) -> Iterator[Item]:
    if most is not None:
        csv.field_size_limit(max(csv.field_size_limit(), most + 2))  # global; `_Lines` enforces the limit of this file
    lines = _Lines(text, most=most)
    rows = _rows(lines, name, delimiter)
    first = next(rows, None)
    if first is None or first.problem or first.skipped:
        problem = "is empty" if first is None else first.problem or f"has {first.skipped} characters in line 1"
        raise SourceError(f"{name!r} {problem}; its first line must name the columns")
    header = _header(first.cells, name, columns, delimiter)
    for row in rows:
        location = f"{name}:{row.line}"
        if row.skipped:
            yield too_long(location, row.skipped, most)
        elif row.problem:
            yield UnreadableItem(location, InvalidDocumentError(f"{location}: {row.problem}"))
        elif row.cells:
            yield _item(header, row.cells, location, columns)


def _header(row: list[str], name: str, columns: Columns, delimiter: str) -> list[str]:
    check_columns(row, columns, name=name, hint=delimiter_hint(row, delimiter, "--delimiter"))
    if repeated := next((column for column in row if row.count(column) > 1), None):
        raise SourceError(f"{name!r} has the column {repeated!r} twice; rename one of them")
    return row


def _item(header: list[str], row: list[str], location: str, columns: Columns) -> Item:
    if len(row) != len(header):
        return UnreadableItem(
            location,
            InvalidDocumentError(
                f"{location}: {len(row)} cells for {len(header)} columns; quote cells that contain the delimiter or a "
                "line break"
            ),
        )
    text = columns.find(header)["raw_text"]  # which may be empty
    cells = {column: cell for column, cell in zip(header, row, strict=True) if cell or column == text}
    return row_to_item(cells, location, columns)
