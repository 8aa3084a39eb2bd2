"""Reading of the items of one shard, and of the range of the file that was read.

A line belongs to the shard in which it begins, as in Hadoop's text input
(https://hadoop.apache.org/docs/stable/api/org/apache/hadoop/mapreduce/lib/input/TextInputFormat.html): a reader that
starts in the middle of a line leaves it to the one before, and reads its own last line to its end.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from fsspec.core import url_to_fs

from nlp_inference._utils.extras import require
from nlp_inference.document.inputs import Columns, Item, UnreadableItem
from nlp_inference.document.limits import MAX_LINE_BYTES
from nlp_inference.errors import InvalidDocumentError, SourceError
from nlp_inference.files.compression import CODECS
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.json_lines import TooLongLine, bounded_lines
from nlp_inference.files.parquet import BYTES_BUFFERED, readable_columns, rows_at_once
from nlp_inference.files.reading import checked_lines, open_source
from nlp_inference.files.records import holds_objects, read_items
from nlp_inference.integrations.ray.plan import Shard


class ShardItems:
    """Iterable of the items of a shard, each with an id.

    The id of an item that has none is its location: `a.jsonl@1024` for the line at byte 1024, `a.jsonl.gz:7` for the
    seventh line of a compressed file, `a.parquet:7` for the seventh row.

    Args:
        shard: the shard.
        columns: the keys or columns of the text and the id.
        max_line_bytes: size limit of a line, or a row; a longer one is an `UnreadableItem`.

    Attributes:
        begin, end: start of the first line and end of the last one in bytes, or in rows; set by iterating. For a
            compressed file, which is read completely, `end` is its size in bytes.

    Raises:
        SourceError: while iterating: the file is truncated or not in the expected format.
    """

    def __init__(self, shard: Shard, *, columns: Columns, max_line_bytes: int | None = MAX_LINE_BYTES) -> None:
        self.shard, self.columns, self.max_line_bytes = shard, columns, max_line_bytes
        self.begin = self.end = shard.begin
        self._system, self._path = url_to_fs(shard.file.path)
        self._location = ""

    def __iter__(self) -> Iterator[Item]:
        if self.shard.file.file_format is FileFormat.PARQUET:
            return self._rows()
        lines = self._plain_lines() if self.shard.file.file_format is FileFormat.LINES else self._compressed_lines()
        items = read_items(
            lines,
            name=self.shard.file.name,
            columns=self.columns,
            objects_only=holds_objects(self.shard.file.name),
            max_bytes=self.max_line_bytes,
        )
        return self._named(items)

    def _named(self, items: Iterator[Item]) -> Iterator[Item]:
        """Add ids: `read_items` yields an item before it reads the next line, so `_location` is that of its line."""
        for item in items:
            yield _with_id(item, self._location, in_place_of=f"{self.shard.file.name}:")

    def _plain_lines(self) -> Iterator[bytes | TooLongLine]:
        with self._opened() as file:
            if self.shard.begin:
                file.seek(self.shard.begin - 1)
                next(bounded_lines(file, max_bytes=self.max_line_bytes), None)  # the rest of the previous line
                yield b"\n"  # a blank line, because the first line of the file may have a byte order mark
            self.begin = self.end = file.tell()
            lines = bounded_lines(file, max_bytes=self.max_line_bytes)
            while self.end < self.shard.end and (line := next(lines, None)):
                self._location = f"{self.shard.file.name}@{self.end}"
                self.end += line.size if isinstance(line, TooLongLine) else len(line)
                yield line

    def _compressed_lines(self) -> Iterator[bytes | TooLongLine]:
        codec = CODECS[self.shard.file.file_format]
        with self._opened() as file:
            lines = checked_lines(codec.reader(file), name=self.shard.file.path, max_bytes=self.max_line_bytes)
            for number, line in enumerate(lines, 1):
                self._location = f"{self.shard.file.name}:{number}"
                yield line
        self.end = self.shard.end

    def _rows(self) -> Iterator[Item]:
        """Copy the rows to a small file, and yield the items of that file."""
        with TemporaryDirectory() as folder:
            copy = Path(folder, "rows.parquet")
            self._copy_rows(copy)
            with open_source(str(copy), columns=self.columns, max_line_bytes=self.max_line_bytes) as opened:
                for item in opened.items:
                    self.end += 1
                    name = self.shard.file.name
                    yield _with_id(item, f"{name}:{self.end}", in_place_of=f"{copy}:")

    def _copy_rows(self, copy: Path) -> None:
        arrow, parquet = require("pyarrow", extra="ray"), require("pyarrow.parquet", extra="ray")
        try:
            with (
                self._opened() as file,
                self._opened() as raw,
                parquet.ParquetFile(file, buffer_size=BYTES_BUFFERED) as table,
            ):
                names = readable_columns(table.schema_arrow)
                schema = arrow.schema([table.schema_arrow.field(name) for name in names])
                with parquet.ParquetWriter(copy, schema) as writer:
                    for batch in self._batches(table, raw, names):
                        writer.write_batch(batch)
        except arrow.ArrowException as error:
            raise SourceError(f"{self.shard.file.path!r} cannot be read: {' '.join(str(error).split())}") from error

    def _batches(self, table: Any, raw: IO[bytes], names: list[str]) -> Iterator[Any]:
        """Yield the rows of the shard from the row groups that contain them."""
        position, begin, end, path = 0, self.shard.begin, self.shard.end, self.shard.file.path
        for number in range(table.num_row_groups):
            group = table.metadata.row_group(number)
            if position < end and position + group.num_rows > begin:
                at = position
                size = rows_at_once(raw, group, file=path, names=names, most=self.max_line_bytes)
                for batch in table.iter_batches(batch_size=size, row_groups=[number], columns=names):
                    first, last = max(begin - at, 0), min(end - at, batch.num_rows)
                    if first < last:
                        yield batch.slice(first, last - first)
                    at += batch.num_rows
            position += group.num_rows

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            file = self._system.open(self._path, "rb")
        except OSError as error:
            raise SourceError(f"{self.shard.file.path!r} cannot be opened on this machine: {error}") from error
        with file:
            yield file


def _with_id(item: Item, location: str, *, in_place_of: str) -> Item:
    if isinstance(item, UnreadableItem):
        counted = re.compile(re.escape(in_place_of) + r"\d+")
        cause = item.cause
        if isinstance(cause, InvalidDocumentError):
            cause = InvalidDocumentError(counted.sub(lambda _: location, str(cause)))
        return UnreadableItem(location if counted.fullmatch(item.id) else item.id, cause)
    if isinstance(item, str):
        return {"id": location, "raw_text": item}
    return {"id": location, **item} if isinstance(item, Mapping) else item
