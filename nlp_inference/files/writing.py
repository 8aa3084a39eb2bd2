"""JSON Lines output, optionally compressed: complete after every block, and truncated to complete records to resume."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.offsets import OffsetUnit
from nlp_inference.errors import OutputError
from nlp_inference.files.compression import CODECS, complete_members
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.reading import open_lines
from nlp_inference.files.records import to_json_line

BYTES_OF_A_MEMBER = 1 << 20
"""Number of bytes that are compressed together, and the greatest loss if the process dies."""

_SECONDS_TO_SYNC = 10.0
_READ_AT_ONCE = 1 << 20


class ResultFile(Protocol):
    """Destination of predictions.

    Attributes:
        written: number of existing records from an interrupted run.
    """

    written: int

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield the existing records; each has an `id` and a `raw_text`, or an `error`."""

    def write(self, result: Document | FailedDocument) -> None:
        """Add a record."""

    def close(self, *, failed: bool) -> None:
        """Write the remaining records, unless writing `failed`; all records in the file are then complete."""


class LinesFile:
    """JSON Lines file that is written one record at a time, or about 1 MB at a time if it is compressed.

    Args:
        path: an existing file is truncated to its complete records and then continued.
        file_format: plain lines or a compression.
        offsets: the unit of the offsets; see `to_json_line`.
    """

    def __init__(self, path: Path, *, file_format: FileFormat, offsets: OffsetUnit = "codepoint") -> None:
        self._offsets: OffsetUnit = offsets
        self._path, self._format, self._codec = path, file_format, CODECS.get(file_format)
        exists = path.is_file()
        self._regular = exists or not path.exists()
        self.written, self._end = self._complete_records() if exists else (0, 0)
        self._file = path.open("r+b" if exists else "wb", buffering=0)
        if exists:
            self._file.truncate(self._end)
            self._file.seek(self._end)
        self._block: list[bytes] = []
        self._size = 0
        self._synced = monotonic()

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield the existing records."""
        with open_lines(str(self._path), file_format=self._format) as lines:
            for number, line in zip(range(1, self.written + 1), lines, strict=False):
                yield _record(line, location=f"{self._path}:{number}")

    def write(self, result: Document | FailedDocument) -> None:
        """Add a record."""
        line = to_json_line(result, offsets=self._offsets).encode() + b"\n"
        self._block.append(line)
        self._size += len(line)
        if self._codec is None or self._size >= BYTES_OF_A_MEMBER:
            self._write_block()

    def close(self, *, failed: bool) -> None:
        """Write the remaining records, unless writing `failed`, and sync the file to the disk."""
        with self._file:
            self._cut()  # Ctrl-C may have interrupted a write
            if self._block and not failed:
                self._write_block()
            self._sync()

    def _write_block(self) -> None:
        block, self._block, self._size = b"".join(self._block), [], 0
        data = memoryview(block if self._codec is None else self._codec.member(block))
        size = len(data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            self._cut()  # truncation also works on a full disk
            raise OutputError(f"{str(self._path)!r} cannot be written: {error.strerror}") from error
        self._end += size
        if monotonic() - self._synced > _SECONDS_TO_SYNC:
            self._sync()

    def _cut(self) -> None:
        """Remove an incomplete block."""
        if self._regular:
            with suppress(OSError):
                self._file.truncate(self._end)
                self._file.seek(self._end)

    def _sync(self) -> None:
        if self._regular:
            os.fsync(self._file.fileno())
        self._synced = monotonic()

    def _complete_records(self) -> tuple[int, int]:
        """Return the number of leading complete records and their size in bytes."""
        count = end = 0
        if self._codec is not None:
            for member in complete_members(self._path, self._codec):
                if len(member.content) < BYTES_OF_A_MEMBER:
                    break  # rewriting the last, shorter member gives the same file as an uninterrupted run
                count, end = count + member.content.count(b"\n"), member.end
            return count, end
        with self._path.open("rb") as file:
            while part := file.read(_READ_AT_ONCE):
                if lines := part.count(b"\n"):
                    count, end = count + lines, file.tell() - len(part) + part.rindex(b"\n") + 1
        return count, end


def _record(line: bytes, *, location: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise OutputError(f"{location} is not a prediction: {error}; start again with --overwrite") from error
    if not isinstance(record, dict):
        raise OutputError(f"{location} is not a prediction but {line[:60]!r}; start again with --overwrite")
    return record
