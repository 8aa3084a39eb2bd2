"""Compressed lines: read as a stream, written as members that are each whole.

A gzip, bzip2 or xz file may be several compressed files, "members", one after the other, and readers take them as one
(gzip: https://www.rfc-editor.org/rfc/rfc1952#section-2.2; xz: https://tukaani.org/xz/xz-file-format.txt, section 2).
So a file that is written member by member is whole after each, and can be cut after any.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from nlp_inference.files.formats import FileFormat

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a file that breaks off, or is none of its kind, may raise."""

_READ_AT_ONCE = 1 << 20


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
        reader: a file to the lines that were compressed, of all members in their order.
    """

    member: Callable[[bytes], bytes]
    decompressor: Callable[[], Decompressor]
    reader: Callable[[IO[bytes]], Iterable[bytes]]


CODECS = {
    FileFormat.GZIP: Codec(
        lambda data: gzip.compress(data, 6, mtime=0),
        lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS),
        lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    ),
    FileFormat.BZIP2: Codec(bz2.compress, bz2.BZ2Decompressor, bz2.BZ2File),
    FileFormat.XZ: Codec(lzma.compress, lzma.LZMADecompressor, lzma.LZMAFile),
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
