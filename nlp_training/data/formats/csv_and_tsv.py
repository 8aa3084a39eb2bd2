"""CSV and TSV: a header, then one Document per row (https://www.rfc-editor.org/rfc/rfc4180).

Lists of labels, spans, tokens and tags are JSON in their cells. Cells are read as text without conversion, including
`NA` and `007`. An empty cell has no value, except the text, which may be empty.
"""

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from nlp_inference._utils.shorten import shorten
from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.files.dialects import check_dialect, delimiter_hint, encoding_of
from nlp_inference.files.json_lines import BYTE_ORDER_MARK, parse_json
from nlp_training.data.columns import VALUE
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format, ReadOptions, Unit, located, new_file, read_units
from nlp_training.data.formats.parts import check_readable
from nlp_training.data.formats.rows import COLUMNS, document_to_row, row_to_document

_LISTS = ("spans", "relations", "labels", "tokens", "tags")
_LABEL_STUDIO = re.compile(r'\[\{"start":|\{"choices":')
"""The beginning of a cell in Label Studio's CSV, which would otherwise be read as the name of a label."""

_SCALARS = ("label", "labels", "spans", "tags")


def _read(delimiter: str, path: Path, options: ReadOptions) -> Iterator[Document]:
    csv.field_size_limit(sys.maxsize)  # applies to the entire process; long texts are valid
    delimiter = delimiter if options.delimiter is None else options.delimiter
    try:
        check_dialect(delimiter, options.encoding)
    except InvalidSpecError as error:
        raise InvalidDataError(f"{path}: {error}") from error
    with path.open(encoding=options.encoding or "utf-8-sig", newline="") as file:
        try:
            yield from read_units(_units(file, delimiter, path, options), options)
        except UnicodeError as error:
            problem = str(error.reason) if isinstance(error, UnicodeDecodeError) else str(error)
            raise InvalidDataError(
                f"{path} is not in {options.encoding or 'UTF-8'} ({problem}); set its encoding, as in {{path: {path}, "
                f"encoding: {encoding_of(error)}}}, or save it as UTF-8"
            ) from error


def _units(file: IO[str], delimiter: str, path: Path, options: ReadOptions) -> Iterator[Unit]:
    rows = csv.reader(file, delimiter=delimiter, strict=True)
    line = 1
    header: list[str] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise InvalidDataError(
                f"{path}:{line}: {error}; quote cells that contain a quote or a line break"
            ) from error
        if row is None:
            break
        if header is None:
            header = _header([cell.removeprefix(BYTE_ORDER_MARK) for cell in row], path, options, delimiter)
        elif row:
            place = f"{path}:{line}"
            yield Unit(place, partial(_make, header, row, place, options))
        line = rows.line_num + 1
    if header is None:
        raise InvalidDataError(f"{path} is empty; its first line must name the columns")


def _header(row: list[str], path: Path, options: ReadOptions, delimiter: str) -> list[str]:
    repeated = [name for name in row if row.count(name) > 1]
    if repeated:
        raise InvalidDataError(f"{path}: the column {repeated[0]!r} occurs twice; rename one of them")
    try:
        options.columns.resolve(row)
    except InvalidDocumentError as error:
        hint = delimiter_hint(row, delimiter, "delimiter:")
        raise InvalidDataError(f"{path}: {f'{hint}. ' if hint else ''}{error}") from error
    return row


def _make(header: list[str], row: list[str], place: str, options: ReadOptions) -> Document:
    with located(place):
        if len(row) != len(header):
            raise InvalidDocumentError(
                f"{len(row)} cells for {len(header)} columns; quote cells that contain the delimiter or a line break"
            )
        return _cells_to_document(dict(zip(header, row, strict=True)), place, options)


def _cells_to_document(cells: dict[str, str], place: str, options: ReadOptions) -> Document:
    fields = {column: field for field, column in options.columns.resolve(cells).items()}
    values = {
        column: _value(cell, fields.get(column), with_names=options.label_names is not None)
        for column, cell in cells.items()
        if cell or fields.get(column) == "text"
    }
    absent = {column: None for column in cells if column not in values}
    names = {} if options.label_names is None else dict.fromkeys(_SCALARS, options.label_names)
    row = {**values, **absent}
    skip = options.skip_blank_labels
    return row_to_document(row, columns=options.columns, place=place, names=names, skip_blank=skip)


def _value(cell: str, field: str | None, *, with_names: bool) -> Any:
    if field in _LISTS and cell.startswith(("[", "{")):
        return parse_json(cell)
    if field == "label" and _LABEL_STUDIO.match(cell):
        raise InvalidDocumentError(
            f"label is {shorten(cell, width=60)}, which are annotations of Label Studio, not a name; export them as "
            "JSON, and set the format to label-studio"
        )
    if field == "label" and with_names and re.fullmatch(r"[-+]?\d+", cell):
        return int(cell)
    if field is not None and (field == "score" or field.startswith(VALUE)):
        try:
            return float(cell.replace("_", "x"))  # Python reads 2_5 as 25
        except ValueError as error:
            raise InvalidDocumentError(f"{field.removeprefix(VALUE)} is {cell!r}; write a number") from error
    return cell


def _write(delimiter: str, name: str, documents: Iterable[Document], path: Path) -> None:
    """Write one row per Document. All rows are in memory because the required columns are known only at the end."""
    kept = [
        {key: value for key, value in _cells(document, name).items() if value is not None} for document in documents
    ]
    used = {column for row in kept for column in row}
    header = [column for column in COLUMNS if column in used | {"text"}]
    with new_file(path) as file:
        writer = csv.DictWriter(file, header, delimiter=delimiter, lineterminator="\r\n", restval="")
        writer.writeheader()
        writer.writerows(kept)


def _cells(document: Document, name: str) -> dict[str, str | None]:
    cells = {key: _cell(value) for key, value in document_to_row(document, name).items()}
    shown = {key: value or "" for key, value in cells.items()}
    check_readable(document, partial(_cells_to_document, shown, "what was written", ReadOptions()), name)
    return cells


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


_TAKES = frozenset({"columns", "label_names", "delimiter", "encoding", "blank_labels"})
CSV = Format("csv", (".csv",), ".csv", partial(_read, ","), partial(_write, ",", "csv"), takes=_TAKES)
TSV = Format("tsv", (".tsv",), ".tsv", partial(_read, "\t"), partial(_write, "\t", "tsv"), takes=_TAKES)
