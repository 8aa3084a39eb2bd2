"""Sizes of the pages of a parquet file, read from their headers without decompressing a page.

A page is decompressed as a unit, into a buffer of the size that its header states. The sizes in the footer of the file
may be wrong, so that only the headers bound the memory.
Format: https://parquet.apache.org/docs/file-format/data-pages/. Encoding of a header:
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from typing import IO, Any

_UNCOMPRESSED, _COMPRESSED = 2, 3
"""Fields of a page header."""

_READ_AT_ONCE = 1 << 12
_MOST_BYTES_OF_A_HEADER = 16 << 20
_DEPTH = 16
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _MAP, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 11, 12


def largest_page(file: IO[bytes], chunk: Any) -> int:
    """Return the decompressed size of the largest page of a column chunk in bytes.

    Args:
        file: the parquet file, which is left at another position.
        chunk: the metadata of the chunk, a `pyarrow.parquet.ColumnChunkMetaData`.

    Raises:
        ValueError: a header is damaged.
    """
    begin = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < begin:
        begin = chunk.dictionary_page_offset
    position, end, largest = begin, begin + chunk.total_compressed_size, 0
    while position < end:
        header = _Header(file, position, end)
        fields = header.struct()
        compressed, size = fields.get(_COMPRESSED, -1), fields.get(_UNCOMPRESSED, -1)
        if compressed < 0 or size < 0:
            raise ValueError(f"the page header at byte {position} states no size")
        largest = max(largest, size)
        position = header.position + compressed
    return largest


class _Header:
    """Reader of one Thrift structure.

    Args:
        file: the file.
        position: the offset of the structure in the file.
        end: the greatest offset of its end.

    Attributes:
        position: the offset of the next byte.
    """

    def __init__(self, file: IO[bytes], position: int, end: int) -> None:
        self._file, self._begin, self.position = file, position, position
        self._end = min(end, position + _MOST_BYTES_OF_A_HEADER)
        self._data = b""

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Read a structure and return its integer fields by their numbers."""
        if depth > _DEPTH:
            raise ValueError("a page header is nested too deeply")
        found: dict[int, int] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            if kind in _INTEGERS:
                found[number] = self._integer()
            elif kind not in _BOOLEANS:  # the type of a boolean field is its value
                self._skip(kind, depth)
        return found

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (*_BOOLEANS, _BYTE):
            self._advance(1)
        elif kind in _INTEGERS:
            self._varint()
        elif kind == _DOUBLE:
            self._advance(8)
        elif kind == _BINARY:
            self._advance(self._varint())
        else:
            self._skip_nested(kind, depth)

    def _skip_nested(self, kind: int, depth: int) -> None:
        if kind in _LISTS:
            head = self._byte()
            for _ in range(head >> 4 if head >> 4 < 15 else self._varint()):
                self._skip(head & 15, depth + 1)
        elif kind == _MAP:
            if size := self._varint():
                kinds = self._byte()
                for _ in range(size):
                    self._skip(kinds >> 4, depth + 1)
                    self._skip(kinds & 15, depth + 1)
        elif kind == _STRUCT:
            self.struct(depth + 1)
        else:
            raise ValueError(f"a page header has the type {kind}")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number in a page header has no end")

    def _advance(self, size: int) -> None:
        self.position += size
        if self.position > self._end:
            raise ValueError(f"the page header at byte {self._begin} has no end")

    def _byte(self) -> int:
        offset = self.position - self._begin
        if offset >= len(self._data):
            self._begin, offset = self.position, 0
            self._file.seek(self.position)
            self._data = self._file.read(min(_READ_AT_ONCE, self._end - self.position))
            if not self._data:
                raise ValueError(f"the page header at byte {self._begin} has no end")
        self.position += 1
        return self._data[offset]
