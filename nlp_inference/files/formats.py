"""Which format a file is in: by its suffix, or as the user says."""

from enum import StrEnum
from pathlib import Path

from nlp_inference.errors import InvalidSpecError


class FileFormat(StrEnum):
    """What predict reads and writes; of a source, lines may also be texts."""

    LINES = "jsonl"
    GZIP = "jsonl.gz"
    BZIP2 = "jsonl.bz2"
    XZ = "jsonl.xz"
    PARQUET = "parquet"


_BY_SUFFIX = {
    ".gz": FileFormat.GZIP,
    ".bz2": FileFormat.BZIP2,
    ".xz": FileFormat.XZ,
    ".parquet": FileFormat.PARQUET,
}
_UNKNOWN = (".zst", ".zip", ".lz4", ".7z", ".br")


def format_of(path: str | Path) -> FileFormat:
    """The format of a file by its suffix: lines, unless it is the suffix of something else.

    Raises:
        InvalidSpecError: the suffix is of a compression that the standard library of Python 3.11 does not have.

    Example:
        >>> format_of("mails.jsonl.gz"), format_of("mails.txt")
        (<FileFormat.GZIP: 'jsonl.gz'>, <FileFormat.LINES: 'jsonl'>)
    """
    suffix = Path(path).suffix.lower()
    if suffix in _UNKNOWN:
        raise InvalidSpecError(
            f"{str(path)!r} is compressed in a way that is not known here; take .gz, .bz2 or .xz, or a pipe such as "
            "`zstd -dc FILE | nlp-inference predict MODEL - -o OUTPUT`"
        )
    return _BY_SUFFIX.get(suffix, FileFormat.LINES)
