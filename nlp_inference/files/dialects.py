"""How tables of text are written: their delimiter and their encoding."""

from nlp_inference.errors import InvalidSpecError


def check_dialect(delimiter: str, encoding: str | None) -> None:
    """Refuse a delimiter that is no character, and an encoding that Python does not know.

    Raises:
        InvalidSpecError: says which.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise InvalidSpecError(f"the delimiter is {delimiter!r}; give one character, such as ; or a tab")
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, TypeError) as error:
        raise InvalidSpecError(f"unknown encoding {encoding!r}; give one that Python knows, such as cp1252") from error


def delimiter_hint(header: list[str], delimiter: str, setting: str) -> str:
    """What to do where one column holds what looks like several; empty if none does.

    Args:
        header: the names of the columns.
        delimiter: that divided them.
        setting: that sets it.

    Example:
        >>> delimiter_hint(["text;label"], ",", "--delimiter")
        "The only column holds ';': is that the delimiter? Set --delimiter ';'"
    """
    other = next((one for one in (";", "\t", "|", ",") if one != delimiter and one in header[0]), "") if header else ""
    if len(header) != 1 or not other:
        return ""
    return f"The only column holds {other!r}: is that the delimiter? Set {setting} {other!r}"
