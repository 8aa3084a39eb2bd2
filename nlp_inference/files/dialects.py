"""Delimiter and encoding of delimited text files."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE

from nlp_inference.errors import InvalidSpecError


def check_dialect(delimiter: str, encoding: str | None) -> None:
    """Check that the delimiter is one character and that Python supports the encoding.

    Raises:
        InvalidSpecError: the delimiter or the encoding is invalid.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise InvalidSpecError(f"the delimiter is {delimiter!r}; it must be one character, such as ; or a tab")
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, TypeError) as error:
        raise InvalidSpecError(
            f"unknown encoding {encoding!r}; use one that Python supports, such as cp1252"
        ) from error


def encoding_of(error: UnicodeError) -> str:
    """Return an encoding to suggest for a file that is not in its encoding: UTF-16 if it begins with its mark.

    Args:
        error: the error of the first bytes that could not be decoded.

    Example:
        >>> try:
        ...     "a".encode("utf-16").decode("utf-8")
        ... except UnicodeDecodeError as error:
        ...     encoding_of(error)
        'utf-16'
    """
    begin = error.object[:2] if isinstance(error, UnicodeDecodeError) and error.start == 0 else b""
    return "utf-16" if begin in (BOM_UTF16_LE, BOM_UTF16_BE) else "cp1252"


def delimiter_hint(header: list[str], delimiter: str, setting: str) -> str:
    """Return a hint if the only column looks like several columns with another delimiter, or an empty string.

    Excel writes and reads a first line `sep=;`, which is no part of the table.

    Args:
        header: the names of the columns.
        delimiter: the delimiter that was used.
        setting: the name of the option that sets it.

    Example:
        >>> delimiter_hint(["text;label"], ",", "--delimiter")
        "The only column contains ';': is that the delimiter? Set --delimiter ';'"
    """
    if header and header[0].lower().startswith("sep="):
        shown = (header[0][4:] or delimiter)[:1]
        return f"The first line, {header[0]!r}, is for Excel: remove it. Set {setting} {shown!r}"
    other = next((one for one in (";", "\t", "|", ",") if one != delimiter and one in header[0]), "") if header else ""
    if len(header) != 1 or not other:
        return ""
    return f"The only column contains {other!r}: is that the delimiter? Set {setting} {other!r}"
