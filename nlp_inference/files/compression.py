"""Compressed lines: read as a stream, written as members that are each whole.

A gzip, bzip2 or xz file may be several compressed files, "members", one after the other, and readers take them as one
(gzip: https://www.rfc-editor.org/rfc/rfc1952#section-2.2; xz: https://tukaani.org/xz/xz-file-format.txt, section 2).
So a file that is written member by member is whole after each, and can be cut after any.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, cast

from nlp_inference.document.limits import MAX_DICTIONARY_BYTES
from nlp_inference.files.formats import FileFormat

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a file that breaks off, or is none of its kind, may raise."""

_READ_AT_ONCE = 1 << 20
_BUFFER = 1 << 16


class Decompressor(Protocol):
    """Reads one member."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""

    def decompress(self, data: bytes, /) -> bytes:
        """The next part of what was compressed."""


class Codec(NamedTuple):
    """How bytes are compressed.

    Args:
        member: bytes to one member; the same bytes always give the same.
        decompressor: a new reader of one member.
        reader: a file to what was compressed, of all members in their order. It decompresses no more at a time than is
            asked of it, so that a small file that holds a huge line does not fill the memory.
    """

    member: Callable[[bytes], bytes]
    decompressor: Callable[[], Decompressor]
    reader: Callable[[IO[bytes]], IO[bytes]]


class _Xz(io.RawIOBase):
    """An .xz file, decompressed with a limit on the memory that its header asks for; `lzma.LZMAFile` has none.

    Args:
        file: may hold several streams, with padding between them.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._rest = file, b""
        self._stream: lzma.LZMADecompressor | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as one step goes; 0 at the end."""
        while True:
            if self._stream is None:
                if not self._next_stream():
                    return 0
                self._stream = lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES)
            elif self._stream.needs_input and not self._fill():
                raise EOFError("the file ends before the end of its last stream")
            part = self._stream.decompress(self._rest if self._stream.needs_input else b"", len(buffer))
            self._rest = b""
            if self._stream.eof:
                self._rest, self._stream = self._stream.unused_data, None
            if part:
                buffer[: len(part)] = part
                return len(part)

    def _next_stream(self) -> bool:
        """Skip the padding between streams; whether there is another one."""
        while self._fill():
            self._rest = self._rest.lstrip(b"\0")
            if self._rest:
                return True
        return False

    def _fill(self) -> bool:
        """Read on if nothing is left of what was read; whether there is more."""
        if not self._rest:
            self._rest = self._file.read(_READ_AT_ONCE)
        return bool(self._rest)


class _OneReadAtATime(io.RawIOBase):
    """A decompressed file of which each read is one step, so that what comes before a damaged place is not lost."""

    def __init__(self, file: "gzip.GzipFile | bz2.BZ2File") -> None:
        self._file = file

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as one step goes; 0 at the end."""
        part = self._file.read1(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _buffered(file: io.RawIOBase) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(file, _BUFFER))


CODECS = {
    FileFormat.GZIP: Codec(
        lambda data: gzip.compress(data, 6, mtime=0),
        lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS),
        lambda file: _buffered(_OneReadAtATime(gzip.GzipFile(fileobj=file, mode="rb"))),
    ),
    FileFormat.BZIP2: Codec(
        bz2.compress, bz2.BZ2Decompressor, lambda file: _buffered(_OneReadAtATime(bz2.BZ2File(file)))
    ),
    FileFormat.XZ: Codec(lzma.compress, lzma.LZMADecompressor, lambda file: _buffered(_Xz(file))),
}


class Member(NamedTuple):
    """A whole member of a file, and where it ends.

    Args:
        content: what was compressed.
        end: offset in bytes after it.
    """

    content: bytes
    end: int


def whole_members(path: Path, codec: Codec) -> Iterator[Member]:
    """The members of a file, up to the first that is torn or damaged; only one at a time is in memory.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> codec = CODECS[FileFormat.GZIP]
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "torn.gz"
        ...     _ = path.write_bytes(codec.member(b"whole") + codec.member(b"torn")[:-1])
        ...     [member.content for member in whole_members(path, codec)]
        [b'whole']
    """
    with path.open("rb") as file:
        rest, end = b"", 0
        while rest or (rest := file.read(_READ_AT_ONCE)):
            parts, reader, used = [], codec.decompressor(), 0
            try:
                while not reader.eof and (rest or (rest := file.read(_READ_AT_ONCE))):
                    parts.append(reader.decompress(rest))
                    used += len(rest)
                    rest = reader.unused_data
            except DAMAGED:
                return
            if not reader.eof:
                return
            end += used - len(rest)
            yield Member(b"".join(parts), end)
