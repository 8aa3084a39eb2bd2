"""What a job on many machines reads, cut into shards, and what is to be the same when it is gone on with.

A shard is a stretch of one file: bytes of plain lines, rows of parquet, or a whole compressed file, which cannot be
entered in the middle. Shards depend on the plan only, so a shard that is predicted twice gives the same part twice.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any

from fsspec.core import url_to_fs
from pydantic import BaseModel, ConfigDict, Field

from nlp_inference._utils.extras import require
from nlp_inference.errors import SourceError
from nlp_inference.files.formats import DELIMITERS, FileFormat, format_of, table_in
from nlp_inference.files.parquet import ROWS_OF_A_PART
from nlp_inference.files.provenance import Provenance

MOST_BYTES, FEWEST_BYTES = 32 << 20, 64 << 10
SHARDS_OF_AN_ACTOR = 8
"""So many at least, where there is enough to read: the last ones keep all actors busy, and a retry loses little."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Frozen):
    """A file that is read.

    Args:
        path: as fsspec takes it, such as `s3://bucket/mails/a.jsonl`.
        name: what it is called in the ids of documents that have none.
        file_format: what it is in.
        size: rows of parquet, bytes of any other.
    """

    path: str
    name: str
    file_format: FileFormat
    size: int


class Shard(_Frozen):
    """A stretch of a file: the lines that begin in it, or its rows.

    Args:
        number: its place among the shards of a job.
        file: of which it is a stretch.
        begin, end: in bytes or rows.
    """

    number: int
    file: SourceFile
    begin: int
    end: int


class Plan(Provenance):
    """What decides the output of a job; it is written beside the output, and must be the same to go on.

    Args:
        files: what is read.
        shard_bytes, shard_rows: the most of a file that is one shard.
    """

    files: tuple[SourceFile, ...]
    shard_bytes: Annotated[int, Field(gt=0)] = MOST_BYTES
    shard_rows: Annotated[int, Field(gt=0)] = ROWS_OF_A_PART

    def shards(self) -> Iterator[Shard]:
        """All shards, in the order of the source.

        Example:
            >>> lines = SourceFile(path="a.jsonl", name="a.jsonl", file_format="jsonl", size=5)
            >>> plan = Plan(model="", backend="onnx", dtype="int8", output_format="jsonl", files=[lines], shard_bytes=2)
            >>> [(shard.number, shard.begin, shard.end) for shard in plan.shards()]
            [(0, 0, 2), (1, 2, 4), (2, 4, 5)]
        """
        number = 0
        for file in self.files:
            step = {FileFormat.LINES: self.shard_bytes, FileFormat.PARQUET: self.shard_rows}.get(file.file_format)
            for begin in range(0, file.size, step or file.size or 1):
                yield Shard(number=number, file=file, begin=begin, end=min(begin + (step or file.size), file.size))
                number += 1


def source_files(source: str, *, file_format: FileFormat | None = None) -> tuple[SourceFile, ...]:
    """The file, or the files of a folder or of a pattern with `*`, in the order of their names.

    Args:
        source: as fsspec takes it; in a folder, names that begin with `_` or `.` are left out.
        file_format: what they are in; `None` goes by their suffixes.

    Raises:
        SourceError: there is none.
        InvalidSpecError: a suffix says that it is compressed in an unknown way.

    Example:
        >>> import fsspec
        >>> fsspec.filesystem("memory").pipe({"/in/b.txt": b"Hi", "/in/a.jsonl.gz": b"...", "/in/_SUCCESS": b""})
        >>> [(file.name, file.file_format.value, file.size) for file in source_files("memory://in")]
        [('a.jsonl.gz', 'jsonl.gz', 3), ('b.txt', 'jsonl', 2)]
    """
    system, root = url_to_fs(source)
    if "*" in root:
        paths, base = system.glob(root), PurePosixPath(root.partition("*")[0] + "*").parent
    elif system.isdir(root):
        paths, base = system.find(root), PurePosixPath(root)
    else:
        paths, base = [root] if system.exists(root) else [], PurePosixPath(root).parent
    found = {str(PurePosixPath(path).relative_to(base)): path for path in paths}
    named = {name: path for name, path in sorted(found.items()) if not name.rpartition("/")[2].startswith(("_", "."))}
    if not named:
        raise SourceError(
            f"there is no file {source!r}; give a file, a folder or a pattern that every machine can read"
        )
    return tuple(_source_file(system, path, name, file_format or format_of(path)) for name, path in named.items())


def _source_file(system: Any, path: str, name: str, file_format: FileFormat) -> SourceFile:
    if file_format in DELIMITERS or table_in(path) is not None:
        raise SourceError(
            f"{path!r} is CSV or TSV, which --engine ray does not read; write it as JSON Lines or parquet"
        )
    size = int(system.size(path))
    if file_format is FileFormat.PARQUET:
        arrow, parquet = require("pyarrow", extra="ray"), require("pyarrow.parquet", extra="ray")
        try:
            with system.open(path, "rb") as file:
                size = int(parquet.read_metadata(file).num_rows)
        except (arrow.ArrowException, OSError) as error:
            raise SourceError(f"{path!r} is no whole parquet file: {' '.join(str(error).split())}") from error
    return SourceFile(path=system.unstrip_protocol(path), name=name, file_format=file_format, size=size)


def bytes_of_a_shard(files: tuple[SourceFile, ...], *, actors: int) -> int:
    """How much one shard of lines is, so that every actor gets several.

    Example:
        >>> bytes_of_a_shard((), actors=2) == FEWEST_BYTES
        True
    """
    lines = sum(file.size for file in files if file.file_format is FileFormat.LINES)
    return max(FEWEST_BYTES, min(MOST_BYTES, lines // (SHARDS_OF_AN_ACTOR * actors)))


def rows_of_a_shard(files: tuple[SourceFile, ...], *, actors: int) -> int:
    """The same for parquet; a shard of rows is at most one part.

    Example:
        >>> rows_of_a_shard((), actors=2)
        100
    """
    rows = sum(file.size for file in files if file.file_format is FileFormat.PARQUET)
    return max(100, min(ROWS_OF_A_PART, rows // (SHARDS_OF_AN_ACTOR * actors)))
