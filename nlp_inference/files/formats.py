"""File formats of sources and outputs, and their detection by the file suffix."""

from enum import StrEnum
from pathlib import Path

from nlp_inference.errors import InvalidSpecError


class FileFormat(StrEnum):
    """Formats that predict reads and writes. The lines of a source may be raw texts; CSV and TSV are only read."""

    LINES = "jsonl"
    GZIP = "jsonl.gz"
    BZIP2 = "jsonl.bz2"
    XZ = "jsonl.xz"
    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"


_BY_SUFFIX = {
    ".gz": FileFormat.GZIP,
    ".bz2": FileFormat.BZIP2,
    ".xz": FileFormat.XZ,
    ".parquet": FileFormat.PARQUET,
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.TSV,
}
DELIMITERS = {FileFormat.CSV: ",", FileFormat.TSV: "\t"}
"""Default delimiters of the delimited formats."""

_COMPRESSED = (FileFormat.GZIP, FileFormat.BZIP2, FileFormat.XZ)
_UNKNOWN = (".zst", ".zip", ".lz4", ".7z", ".br")


def format_of(path: str | Path) -> FileFormat:
    """Return the format of a file by its suffix; an unknown suffix means lines.

    Raises:
        InvalidSpecError: the suffix is of a compression that the standard library of Python 3.11 does not support.

    Example:
        >>> format_of("mails.jsonl.gz"), format_of("mails.txt")
        (<FileFormat.GZIP: 'jsonl.gz'>, <FileFormat.LINES: 'jsonl'>)
    """
    suffix = Path(path).suffix.lower()
    if suffix in _UNKNOWN:
        raise InvalidSpecError(
            f"the compression of {str(path)!r} is not supported; use .gz, .bz2 or .xz, or a pipe such as "
            "`zstd -dc FILE | nlp-inference predict MODEL - -o OUTPUT`"
        )
    return _BY_SUFFIX.get(suffix, FileFormat.LINES)


def table_in(path: str | Path) -> FileFormat | None:
    """Return CSV or TSV if the suffixes of a file are those of compressed CSV or TSV, or `None`.

    Example:
        >>> table_in("mails.csv.gz"), table_in("mails.jsonl.gz")
        (<FileFormat.CSV: 'csv'>, None)
    """
    inner, outer = ["", "", *Path(path).suffixes][-2:]
    found = _BY_SUFFIX.get(inner.lower())
    return found if found in DELIMITERS and _BY_SUFFIX.get(outer.lower()) in _COMPRESSED else None


def check_written(path: str | Path, chosen: FileFormat) -> None:
    """Check that a format can be written.

    Raises:
        InvalidSpecError: the format is CSV or TSV.

    Example:
        >>> check_written("found.jsonl", FileFormat.LINES)
    """
    if chosen in DELIMITERS or table_in(path) is not None:
        raise InvalidSpecError(
            f"predictions cannot be written as CSV or TSV, but the output is {str(path)!r}; name it *.jsonl, "
            "*.jsonl.gz or *.parquet"
        )
