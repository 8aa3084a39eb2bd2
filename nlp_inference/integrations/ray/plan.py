"""The plan of a distributed job: its source files, split into shards, and the settings that must be equal to resume it.

A shard is a range of one file: bytes of plain lines, rows of parquet, or an entire compressed file, which cannot be
read from the middle. Shards depend on the plan only, so a shard that is predicted twice gives the same part twice.
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
"""Least number of shards per actor for a large source, which keeps all actors busy and makes retries cheap."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Frozen):
    """A source file.

    Args:
        path: a path of fsspec, such as `s3://bucket/mails/a.jsonl`.
        name: the name in generated document ids.
        file_format: its format.
        size: size in rows for parquet, in bytes for other formats.
    """

    path: str
    name: str
    file_format: FileFormat
    size: int


class Shard(_Frozen):
    """A range of a file: the lines that begin in it, or its rows.

    Args:
        number: its index among the shards of a job.
        file: the file.
        begin, end: in bytes or rows.
    """

    number: int
    file: SourceFile
    begin: int
    end: int


class Plan(Provenance):
    """The provenance of the output of a job, which is saved with it and must be equal to resume it.

    Args:
        files: the source files.
        shard_bytes, shard_rows: greatest size of a shard.
    """

    files: tuple[SourceFile, ...]
    shard_bytes: Annotated[int, Field(gt=0)] = MOST_BYTES
    shard_rows: Annotated[int, Field(gt=0)] = ROWS_OF_A_PART

    def shards(self) -> Iterator[Shard]:
        """Yield all shards, in the order of the source.

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
    """Return the file, or the files of a folder or of a pattern with `*`, in the order of their names.

    Args:
        source: a path of fsspec; in a folder, names that begin with `_` or `.` are skipped.
        file_format: the format of the files; `None` detects it from their suffixes.

    Raises:
        SourceError: there is no file.
        InvalidSpecError: a suffix is that of an unsupported compression.

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
            f"there is no file {source!r}; pass a file, a folder or a pattern that every machine can read"
        )
    return tuple(_source_file(system, path, name, file_format or format_of(path)) for name, path in named.items())


def _source_file(system: Any, path: str, name: str, file_format: FileFormat) -> SourceFile:
    if file_format in DELIMITERS or table_in(path) is not None:
        raise SourceError(
            f"{path!r} is CSV or TSV, which --engine ray does not read; convert it to JSON Lines or parquet"
        )
    size = int(system.size(path))
    if file_format is FileFormat.PARQUET:
        arrow, parquet = require("pyarrow", extra="ray"), require("pyarrow.parquet", extra="ray")
        try:
            with system.open(path, "rb") as file:
                size = int(parquet.read_metadata(file).num_rows)
        except (arrow.ArrowException, OSError) as error:
            raise SourceError(f"{path!r} is not a complete parquet file: {' '.join(str(error).split())}") from error
    return SourceFile(path=system.unstrip_protocol(path), name=name, file_format=file_format, size=size)


def bytes_of_a_shard(files: tuple[SourceFile, ...], *, actors: int) -> int:
    """Return the size of a shard of lines in bytes, so that every actor gets several shards.

    Example:
        >>> bytes_of_a_shard((), actors=2) == FEWEST_BYTES
        True
    """
    lines = sum(file.size for file in files if file.file_format is FileFormat.LINES)
    return max(FEWEST_BYTES, min(MOST_BYTES, lines // (SHARDS_OF_AN_ACTOR * actors)))


def rows_of_a_shard(files: tuple[SourceFile, ...], *, actors: int) -> int:
    """Return the size of a shard of parquet in rows; a shard is at most one part.

    Example:
        >>> rows_of_a_shard((), actors=2)
        100
    """
    rows = sum(file.size for file in files if file.file_format is FileFormat.PARQUET)
    return max(100, min(ROWS_OF_A_PART, rows // (SHARDS_OF_AN_ACTOR * actors)))
