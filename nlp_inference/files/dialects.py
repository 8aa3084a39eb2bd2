"""Delimiter and encoding of delimited text files."""

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


def delimiter_hint(header: list[str], delimiter: str, setting: str) -> str:
    """Return a hint if the only column looks like several columns with another delimiter, or an empty string.

    Args:
        header: the names of the columns.
        delimiter: the delimiter that was used.
        setting: the name of the option that sets it.

    Example:
        >>> delimiter_hint(["text;label"], ",", "--delimiter")
        "The only column contains ';': is that the delimiter? Set --delimiter ';'"
    """
    other = next((one for one in (";", "\t", "|", ",") if one != delimiter and one in header[0]), "") if header else ""
    if len(header) != 1 or not other:
        return ""
    return f"The only column contains {other!r}: is that the delimiter? Set {setting} {other!r}"
