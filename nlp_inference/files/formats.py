"""Which format a file is in: by its suffix, or as the user says."""

from enum import StrEnum
from pathlib import Path

from nlp_inference.errors import InvalidSpecError


class FileFormat(StrEnum):
    """What predict reads and writes; of a source, lines may also be texts, and CSV and TSV are only read."""

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
"""Between the cells of the formats that are tables of text."""

_COMPRESSED = (FileFormat.GZIP, FileFormat.BZIP2, FileFormat.XZ)
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


def table_in(path: str | Path) -> FileFormat | None:
    """CSV or TSV, if a file is a compressed one by its suffixes.

    Example:
        >>> table_in("mails.csv.gz"), table_in("mails.jsonl.gz")
        (<FileFormat.CSV: 'csv'>, None)
    """
    inner, outer = ["", "", *Path(path).suffixes][-2:]
    found = _BY_SUFFIX.get(inner.lower())
    return found if found in DELIMITERS and _BY_SUFFIX.get(outer.lower()) in _COMPRESSED else None


def check_written(path: str | Path, chosen: FileFormat) -> None:
    """Refuse a format of an output that is only read.

    Raises:
        InvalidSpecError: it is one.

    Example:
        >>> check_written("found.jsonl", FileFormat.LINES)
    """
    if chosen in DELIMITERS or table_in(path) is not None:
        raise InvalidSpecError(
            f"predictions are not written as CSV or TSV, as {str(path)!r} says; name the output *.jsonl, *.jsonl.gz or "
            "*.parquet"
        )
