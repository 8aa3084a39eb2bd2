"""Compressed lines, which are read as a stream and written in complete members.

A gzip, bzip2 or xz file may consist of several concatenated compressed files, "members", which readers treat as one
(gzip: https://www.rfc-editor.org/rfc/rfc1952#section-2.2; xz: https://tukaani.org/xz/xz-file-format.txt, section 2).
A file that is written member by member is therefore complete after each member, and can be truncated after each.
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
"""Exceptions of reading a file that is truncated or not in the expected format."""

_READ_AT_ONCE = 1 << 20
_BUFFER = 1 << 16


class Decompressor(Protocol):
    """Decompressor of one member."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def unused_data(self) -> bytes:
        """The data after the end of the member."""

    def decompress(self, data: bytes, /) -> bytes:
        """Decompress the next part."""


class Codec(NamedTuple):
    """Functions of a compression format.

    Args:
        member: compresses bytes to one member, deterministically.
        decompressor: creates a decompressor of one member.
        reader: wraps a compressed file in a file of the decompressed contents of all members. It decompresses no more
            than is read, so that a small file with a huge line does not fill the memory.
    """

    member: Callable[[bytes], bytes]
    decompressor: Callable[[], Decompressor]
    reader: Callable[[IO[bytes]], IO[bytes]]


class _ReadsOnce(Protocol):
    """A file of decompressed contents that can be read in single decompression steps."""

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes of one decompression step, or none at the end."""


class _XzStreams:
    """The contents of an .xz file, with a limit on the memory that its header requests; `lzma.LZMAFile` has none.

    Args:
        file: may contain several streams, with padding between them.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._rest = file, b""
        self._stream: lzma.LZMADecompressor | None = None

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes of one decompression step, or none at the end."""
        while True:
            if self._stream is None:
                if not self._next_stream():
                    return b""
                self._stream = lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES)
            elif self._stream.needs_input and not self._fill():
                raise EOFError("the file ends before the end of its last stream")
            part = self._stream.decompress(self._rest if self._stream.needs_input else b"", size)
            self._rest = b""
            if self._stream.eof:
                self._rest, self._stream = self._stream.unused_data, None
            if part:
                return part

    def _next_stream(self) -> bool:
        """Skip the padding between streams and return whether there is another stream."""
        while self._fill():
            self._rest = self._rest.lstrip(b"\0")
            if self._rest:
                return True
        return False

    def _fill(self) -> bool:
        """Read more data if the last read is used up, and return whether there is any."""
        if not self._rest:
            self._rest = self._file.read(_READ_AT_ONCE)
        return bool(self._rest)


class _OneReadAtATime(io.RawIOBase):
    """Reader with one decompression step per read, so that the data before a damaged position is not lost."""

    def __init__(self, file: _ReadsOnce) -> None:
        self._file = file

    def readable(self) -> bool:
        """Return `True`."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer from one decompression step and return the number of bytes; 0 at the end."""
        part = self._file.read1(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _buffered(file: _ReadsOnce) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(_OneReadAtATime(file), _BUFFER))


CODECS = {
    FileFormat.GZIP: Codec(
        lambda data: gzip.compress(data, 6, mtime=0),
        lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS),
        lambda file: _buffered(gzip.GzipFile(fileobj=file, mode="rb")),
    ),
    FileFormat.BZIP2: Codec(bz2.compress, bz2.BZ2Decompressor, lambda file: _buffered(bz2.BZ2File(file))),
    FileFormat.XZ: Codec(lzma.compress, lzma.LZMADecompressor, lambda file: _buffered(_XzStreams(file))),
}


class Member(NamedTuple):
    """A complete member of a file.

    Args:
        content: the decompressed bytes.
        end: the offset of its end in the file, in bytes.
    """

    content: bytes
    end: int


def complete_members(path: Path, codec: Codec) -> Iterator[Member]:
    """Yield the members of a file before the first truncated or damaged one; only one is in memory at a time.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> codec = CODECS[FileFormat.GZIP]
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "torn.gz"
        ...     _ = path.write_bytes(codec.member(b"whole") + codec.member(b"torn")[:-1])
        ...     [member.content for member in complete_members(path, codec)]
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
