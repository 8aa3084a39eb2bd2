"""Parquet (https://parquet.apache.org/docs/file-format): one document per row, read and written in row groups.

The index of a parquet file is at its end, so a truncated file cannot be read or continued. Predictions are therefore
written as a folder of parts, which parquet readers treat as one file. A part is complete when it gets its final name.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from operator import add
from pathlib import Path
from typing import IO, Any

from pydantic_core import to_json

from nlp_inference._utils.extras import require
from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.inputs import Columns, Item
from nlp_inference.document.limits import MAX_LINE_BYTES
from nlp_inference.document.offsets import OffsetUnit
from nlp_inference.errors import OutputError, SourceError
from nlp_inference.files.parquet_pages import largest_page
from nlp_inference.files.reading import OpenSource
from nlp_inference.files.records import check_columns, in_unit, row_to_item, too_long

_EXTRA = "parquet"
_ROWS_READ_AT_ONCE = 1024
_BYTES_AT_ONCE = 64 << 20
BYTES_BUFFERED = 1 << 20
"""Buffer of compressed data of a column; without one, the entire column of a row group would be read at once."""

_LEAST_PAGE_BYTES, _ROWS_OF_A_PAGE = 64 << 20, 16
"""Greatest size of a page: this number of bytes, or of rows of the greatest size (512 MiB with the default limit)."""

ROWS_OF_A_GROUP = 2_000
CHARACTERS_OF_A_GROUP = 8_000_000
"""Limits of the rows that wait in memory to be written."""

ROWS_OF_A_PART = 20_000
"""Rows of a part, and the greatest loss if the process dies."""

PART_PATTERN = "part-*.parquet"
_UNFINISHED = ".unfinished.parquet"


@contextmanager
def open_parquet(source: str, *, columns: Columns, max_row_bytes: int | None = MAX_LINE_BYTES) -> Iterator[OpenSource]:
    """Open a parquet file, or a folder of them in the order of their names; see `open_source`.

    Other columns of strings, numbers and booleans become metadata; columns of other types are skipped.

    Args:
        source: path of the file or the folder.
        columns: the columns that contain the text and the id.
        max_row_bytes: size limit of the strings of a row; a longer row is an `UnreadableItem`.
    """
    parquet = require("pyarrow.parquet", extra=_EXTRA)
    path = Path(source)
    files = sorted(path.glob("[!._]*.parquet")) if path.is_dir() else [path]
    if not files:
        raise SourceError(f"the folder {source!r} has no *.parquet files; pass a parquet file, or a folder of them")
    try:
        size = sum(parquet.read_metadata(file).num_rows for file in files)
    except require("pyarrow", extra=_EXTRA).ArrowException as error:
        raise SourceError(f"{source!r} is not a complete parquet file: {_line(error)}") from error
    read = [0]
    rows = _rows(files, read, source=source, columns=columns, max_row_bytes=max_row_bytes)
    yield OpenSource(rows, size, lambda: read[0])


def _rows(
    files: list[Path], read: list[int], *, source: str, columns: Columns, max_row_bytes: int | None
) -> Iterator[Item]:
    arrow, parquet = require("pyarrow", extra=_EXTRA), require("pyarrow.parquet", extra=_EXTRA)
    for file in files:
        try:
            with parquet.ParquetFile(file, buffer_size=BYTES_BUFFERED) as table, file.open("rb") as raw:
                _check_schema(table.schema_arrow, arrow.types, columns, source=str(file))
                for row, size in _bounded_rows(raw, table, file=str(file), most=max_row_bytes):
                    read[0] += 1
                    location = f"{source}:{read[0]}"
                    yield (
                        too_long(location, size, max_row_bytes) if row is None else row_to_item(row, location, columns)
                    )
        except (arrow.ArrowException, OSError) as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(f"{str(file)!r} cannot be read beyond row {read[0]}: {_line(error)}") from error


def _bounded_rows(
    raw: IO[bytes], table: Any, *, file: str, most: int | None
) -> Iterator[tuple[dict[str, Any] | None, int]]:
    """Yield each row, or `None` if its strings are too large, and the size of its strings in bytes."""
    names = readable_columns(table.schema_arrow)
    for group in range(table.num_row_groups):
        rows = rows_at_once(raw, table.metadata.row_group(group), file=file, names=names, most=most)
        for batch in table.iter_batches(batch_size=rows, row_groups=[group], columns=names):
            sizes = _sizes(batch)
            if most is None or max(sizes, default=0) <= most:
                yield from zip(batch.to_pylist(), sizes, strict=True)
                continue
            for index, size in enumerate(sizes):
                yield batch.slice(index, 1).to_pylist()[0] if size <= most else None, size


def rows_at_once(raw: IO[bytes], group: Any, *, file: str, names: Collection[str], most: int | None) -> int:
    """Return the number of rows of a row group that can be decoded at a time in bounded memory.

    A string is at most as large as the page that contains it, or that contains the dictionary with it.

    Args:
        raw: the file, to read the headers of the pages from.
        group: the metadata of the row group.
        file: the name of the file, for the message.
        names: the columns that are read.
        most: size limit of a row; `None` means no limit.

    Raises:
        SourceError: a page, which is decompressed as a unit, is too large, or its header is damaged.
    """
    strings = 0
    for column in map(group.column, range(group.num_columns)):
        name = column.path_in_schema
        if name.partition(".")[0] not in names:
            continue
        try:
            size = largest_page(raw, column)
        except ValueError as error:
            raise SourceError(f"the column {name!r} of {file!r} is damaged: {error}") from error
        limit = size if most is None else max(_LEAST_PAGE_BYTES, _ROWS_OF_A_PAGE * most)
        if size > limit:
            raise SourceError(
                f"a page of the column {name!r} of {file!r} has {size} bytes, which are decompressed at once; the "
                f"limit is {limit}. Rewrite the file with smaller pages (data_page_size, write_batch_size), or "
                "increase max_line_bytes (--max-line-bytes)"
            )
        strings += size if column.physical_type == "BYTE_ARRAY" else 0
    return max(1, min(_ROWS_READ_AT_ONCE, _BYTES_AT_ONCE // max(1, strings)))


def _sizes(batch: Any) -> list[int]:
    """Return the size of the strings of each row in bytes."""
    arrow, compute = require("pyarrow", extra=_EXTRA), require("pyarrow.compute", extra=_EXTRA)
    totals = [0] * batch.num_rows
    for column in batch.columns:
        values = column.dictionary if arrow.types.is_dictionary(column.type) else column
        if _is_string(values.type, arrow.types):
            lengths = compute.binary_length(values)
            lengths = lengths if values is column else lengths.take(column.indices)
            totals = list(map(add, totals, compute.fill_null(lengths, 0).to_pylist()))
    return totals


def _is_string(kind: Any, types: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _check_schema(schema: Any, types: Any, columns: Columns, *, source: str) -> None:
    """Check that there are columns of the text and the id, and that they contain strings or numbers."""
    for name in check_columns(schema.names, columns, name=source).values():
        kind = schema.field(name).type
        if not _is_plain(kind, types):
            raise SourceError(
                f"the column {name!r} of {source!r} has the type {kind}; a text or an id must be a string"
            )


def readable_columns(schema: Any) -> list[str]:
    """Return the columns of an Arrow schema that contain strings, numbers or booleans."""
    types = require("pyarrow", extra=_EXTRA).types
    return [field.name for field in schema if _is_plain(field.type, types)]


def _is_plain(kind: Any, types: Any) -> bool:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    tests = (types.is_string, types.is_large_string, types.is_boolean, types.is_integer, types.is_floating)
    return any(test(kind) for test in tests)


def prediction_files(folder: Path) -> list[Path]:
    """Return the files in a folder that `PartsFolder` wrote.

    Raises:
        OutputError: the folder contains another file, which must not be lost.
    """
    written = [*folder.glob(PART_PATTERN), *folder.glob(_UNFINISHED)]
    other = sorted(path.name for path in folder.iterdir() if path not in written)
    if other:
        raise OutputError(
            f"the folder {str(folder)!r} contains other files than predictions, such as {other[0]!r}; write to another "
            "folder"
        )
    return written


class PartsFolder:
    """Predictions as `part-00000.parquet`, `part-00001.parquet` … in a folder, each of 20,000 rows except the last.

    The columns are `id`, `raw_text`, the predicted `spans` and `categories`, `more`, which is the JSON of all other
    fields of the Document, and for a failed document `error` and `message`.

    Args:
        folder: the folder, which is created if it does not exist. An existing last part with fewer rows is removed and
            written again.
        offsets: the unit of the offsets; another one than code points is stated in `more`.
    """

    def __init__(self, folder: Path, *, offsets: OffsetUnit = "codepoint") -> None:
        self._offsets: OffsetUnit = offsets
        self._arrow, self._parquet = require("pyarrow", extra=_EXTRA), require("pyarrow.parquet", extra=_EXTRA)
        self._folder = folder
        folder.mkdir(exist_ok=True)
        (folder / _UNFINISHED).unlink(missing_ok=True)
        self._parts = sorted(folder.glob(PART_PATTERN))
        if self._parts and self._rows_of(self._parts[-1]) < ROWS_OF_A_PART:
            self._parts.pop().unlink()
        self.written = sum(map(self._rows_of, self._parts))
        self._number = len(self._parts)
        self._schema = _schema(self._arrow)
        self._writer: Any = None
        self._group: list[dict[str, Any]] = []
        self._rows = self._characters = 0

    def _rows_of(self, part: Path) -> int:
        try:
            return int(self._parquet.read_metadata(part).num_rows)
        except (self._arrow.ArrowException, OSError) as error:
            raise OutputError(f"{str(part)!r} is damaged: {_line(error)}; start again with --overwrite") from error

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield the `id`, `raw_text` and `error` of each existing row."""
        for part in self._parts:
            with self._parquet.ParquetFile(part) as table:
                for batch in table.iter_batches(batch_size=_ROWS_READ_AT_ONCE, columns=["id", "raw_text", "error"]):
                    yield from batch.to_pylist()

    def write(self, result: Document | FailedDocument) -> None:
        """Add a row, which is written when its group is full."""
        self._group.append(_row(result, self._offsets))
        self._characters += len(result.raw_text) if isinstance(result, Document) else 0
        self._rows += 1
        if len(self._group) == ROWS_OF_A_GROUP or self._characters >= CHARACTERS_OF_A_GROUP:
            self._write_group()
        if self._rows == ROWS_OF_A_PART:
            self._finish_part()

    def close(self, *, failed: bool) -> None:
        """Finish the last part, or discard it if writing `failed`, so that every part is complete."""
        if not failed:
            self._finish_part()
        if self._writer is not None:
            with suppress(self._arrow.ArrowException, OSError):
                self._writer.close()
            self._writer.is_open = False  # otherwise garbage collection closes it again
        (self._folder / _UNFINISHED).unlink(missing_ok=True)

    def _write_group(self) -> None:
        group, self._group, self._characters = self._group, [], 0

        def write() -> None:
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(self._folder / _UNFINISHED, self._schema)
            self._writer.write_table(self._arrow.Table.from_pylist(group, schema=self._schema))

        self._with_output_errors(write)

    def _finish_part(self) -> None:
        if self._group:
            self._write_group()
        writer, self._writer, self._rows = self._writer, None, 0
        if writer is None:
            return

        def finish() -> None:
            writer.close()
            unfinished = self._folder / _UNFINISHED
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.rename(self._folder / f"part-{self._number:05}.parquet")

        self._with_output_errors(finish)
        self._number += 1

    def _with_output_errors(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (self._arrow.ArrowException, OSError) as error:
            raise OutputError(f"{str(self._folder)!r} cannot be written: {_line(error)}") from error


def _schema(arrow: Any) -> Any:
    text, score = arrow.string(), arrow.float64()
    category = [("label", text), ("score", score)]
    span = [("start", arrow.int64()), ("end", arrow.int64()), *category]
    kinds = {
        "id": text,
        "raw_text": text,
        "spans": arrow.list_(arrow.struct(span)),
        "categories": arrow.list_(arrow.struct(category)),
        "more": text,
        "error": text,
        "message": text,
    }
    return arrow.schema(list(kinds.items()))


def _row(result: Document | FailedDocument, offsets: OffsetUnit) -> dict[str, Any]:
    if not isinstance(result, Document):
        return result.model_dump()
    row: dict[str, Any] = {"id": result.id, "raw_text": result.raw_text, "spans": None, "categories": None}
    if offsets == "codepoint":
        in_columns: Any = {"id": True, "raw_text": True, "predicted": {"spans", "categories"}}
        more = result.model_dump_json(exclude=in_columns, exclude_defaults=True)
        if (predicted := result.predicted) is not None:
            row["spans"] = [dict(span) for span in predicted.spans]
            row["categories"] = [dict(category) for category in predicted.categories]
        return {**row, "more": None if more == "{}" else more}
    rest = {name: value for name, value in in_unit(result, offsets).items() if name not in ("id", "raw_text")}
    if (found := rest.pop("predicted", None)) is not None:
        row |= {name: found.pop(name, []) for name in ("spans", "categories")}
        rest["predicted"] = found
    return {**row, "more": to_json(rest).decode()}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
