"""JSON Lines in a file, compressed or not: whole after every block, and cut to whole records to go on."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from nlp_inference.document import Document, FailedDocument
from nlp_inference.errors import OutputError
from nlp_inference.files.compression import CODECS, whole_members
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.reading import open_lines
from nlp_inference.files.records import to_json_line

BYTES_OF_A_MEMBER = 1 << 20
"""Of lines that are compressed together; what is lost at most when the process dies."""

_SECONDS_TO_SYNC = 10.0
_READ_AT_ONCE = 1 << 20


class ResultFile(Protocol):
    """Where predictions are written.

    Attributes:
        written: how many records were there already, from a run that was stopped.
    """

    written: int

    def records(self) -> Iterator[Mapping[str, Any]]:
        """What was there already; each has an `id` and a `raw_text`, or an `error`."""

    def write(self, result: Document | FailedDocument) -> None:
        """Add a record."""

    def close(self, *, failed: bool) -> None:
        """Write what is left, unless writing `failed`; everything in the file is whole then."""


class LinesFile:
    """JSON Lines, written a record at a time; compressed, about a megabyte of records at a time.

    Args:
        path: what it holds is cut to the records that are whole, and gone on with.
        file_format: plain lines or a compression.
    """

    def __init__(self, path: Path, *, file_format: FileFormat) -> None:
        self._path, self._format, self._codec = path, file_format, CODECS.get(file_format)
        there = path.is_file()
        self._regular = there or not path.exists()
        self.written, self._end = self._whole() if there else (0, 0)
        self._file = path.open("r+b" if there else "wb", buffering=0)
        if there:
            self._file.truncate(self._end)
            self._file.seek(self._end)
        self._block: list[bytes] = []
        self._size = 0
        self._synced = monotonic()

    def records(self) -> Iterator[Mapping[str, Any]]:
        """What was there already, one after the other."""
        with open_lines(str(self._path), file_format=self._format) as lines:
            for number, line in zip(range(1, self.written + 1), lines, strict=False):
                yield _record(line, place=f"{self._path}:{number}")

    def write(self, result: Document | FailedDocument) -> None:
        """Add a record."""
        line = to_json_line(result).encode() + b"\n"
        self._block.append(line)
        self._size += len(line)
        if self._codec is None or self._size >= BYTES_OF_A_MEMBER:
            self._write_block()

    def close(self, *, failed: bool) -> None:
        """Write what is left, unless writing `failed`, and have it on the disk."""
        with self._file:
            self._cut()  # Ctrl-C may have come in the midst of writing
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
            self._cut()  # which works on a full disk too
            raise OutputError(f"{str(self._path)!r} cannot be written: {error.strerror}") from error
        self._end += size
        if monotonic() - self._synced > _SECONDS_TO_SYNC:
            self._sync()

    def _cut(self) -> None:
        """Take away what is not a whole block."""
        if self._regular:
            with suppress(OSError):
                self._file.truncate(self._end)
                self._file.seek(self._end)

    def _sync(self) -> None:
        if self._regular:
            os.fsync(self._file.fileno())
        self._synced = monotonic()

    def _whole(self) -> tuple[int, int]:
        """How many records the file begins with that are whole, and how many bytes that is."""
        count = end = 0
        if self._codec is not None:
            for member in whole_members(self._path, self._codec):
                if len(member.content) < BYTES_OF_A_MEMBER:
                    break  # the last one of a run that was stopped; written anew, the file is as if it had not been
                count, end = count + member.content.count(b"\n"), member.end
            return count, end
        with self._path.open("rb") as file:
            while part := file.read(_READ_AT_ONCE):
                if lines := part.count(b"\n"):
                    count, end = count + lines, file.tell() - len(part) + part.rindex(b"\n") + 1
        return count, end


def _record(line: bytes, *, place: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise OutputError(f"{place} is no record of a prediction: {error}; predict anew with --overwrite") from error
    if not isinstance(record, dict):
        raise OutputError(f"{place} is no record of a prediction but {line[:60]!r}; predict anew with --overwrite")
    return record
