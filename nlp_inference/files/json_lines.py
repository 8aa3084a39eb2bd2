"""Decoding and parsing of JSON Lines, with the same rules for training and for production."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple, Never, Protocol

from nlp_inference.errors import InvalidDocumentError

BYTE_ORDER_MARK = "\ufeff"

MAX_DEPTH = 100
"""The greatest number of objects and arrays inside each other."""

_TOO_DEEP = f"it is nested too deeply, in more than {MAX_DEPTH} levels; write a flat object"

_SKIPPED_AT_ONCE = 1 << 20


class TooLongLine(NamedTuple):
    """Replacement of a line that was skipped.

    Args:
        size: size of the line in bytes, including its line feed.
    """

    size: int


class LineReader(Protocol):
    """A binary file that reads at most `size` bytes of its next line, or the entire line if `size` is negative."""

    def readline(self, size: int = -1, /) -> bytes:
        """Return the line with its line feed, or an empty one at the end."""


def bounded_lines(file: LineReader, *, max_bytes: int | None) -> Iterator[bytes | TooLongLine]:
    r"""Yield the lines of a file, with at most one line of `max_bytes` in memory.

    Args:
        file: read from its current position.
        max_bytes: size limit of a line without its line feed; a longer one is skipped. `None` means no limit.

    Yields:
        Each line with its line feed, or a `TooLongLine` in its place.

    Example:
        >>> from io import BytesIO
        >>> list(bounded_lines(BytesIO(b"one\nthree\ntwo"), max_bytes=3))
        [b'one\n', TooLongLine(size=6), b'two']
    """
    most = -1 if max_bytes is None else max_bytes + 1
    while line := file.readline(most):
        if max_bytes is None or len(line) <= max_bytes or line.endswith(b"\n"):
            yield line
        else:
            size, part = len(line), line
            while not part.endswith(b"\n") and (part := file.readline(_SKIPPED_AT_ONCE)):
                size += len(part)
            yield TooLongLine(size)


def decode_line(line: str | bytes) -> str:
    r"""Decode a line and remove its line feed, or its carriage return and line feed.

    Raises:
        InvalidDocumentError: the bytes are not UTF-8.

    Example:
        >>> decode_line(b"caf\xc3\xa9\r\n")
        'café'
    """
    try:
        content = line.decode("utf-8") if isinstance(line, bytes) else line
    except UnicodeDecodeError as error:
        raise InvalidDocumentError(
            f"byte {error.start} of the line is not UTF-8 ({error.reason}); save the text as UTF-8"
        ) from error
    return content.removesuffix("\n").removesuffix("\r")


def parse_json(content: str) -> Any:
    """Parse one line of JSON (https://www.rfc-editor.org/rfc/rfc8259), with or without a byte order mark.

    Raises:
        InvalidDocumentError: the line is not valid JSON, such as `NaN`, is nested too deeply, or an object has a key
            twice.

    Example:
        >>> parse_json('{"text": "Hi"}')
        {'text': 'Hi'}
    """
    try:
        return strict_json(content.strip().removeprefix(BYTE_ORDER_MARK))
    except ValueError as error:
        raise InvalidDocumentError(f"not valid JSON: {error}") from error


def strict_json(text: str) -> Any:
    """Parse JSON without its extensions in Python, and with a limit of its depth.

    The recursion limit of Python is no such limit: it differs between versions, and validating a value may need more
    levels than parsing it.

    Raises:
        ValueError: the text is not JSON, such as `NaN`, is nested too deeply, or an object has a key twice.

    Example:
        >>> strict_json("[" * 101 + "]" * 101)
        Traceback (most recent call last):
        ValueError: it is nested too deeply, in more than 100 levels; write a flat object
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_with_unique_keys)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    containers = [value]
    for _ in range(levels + 1):
        containers = [one for one in containers if isinstance(one, dict | list)]
        if not containers:
            return False
        containers = [one for outer in containers for one in (outer.values() if isinstance(outer, dict) else outer)]
    return True


def _with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of its keys and values; the `object_pairs_hook` of `json.loads`.

    Parsers differ in which value of a repeated key they keep, so that a text or a label would be lost silently.

    Raises:
        ValueError: a key occurs twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {repeated[:40]!r} occurs twice in an object; write each key once")
    return found


def _refuse_constant(constant: str) -> Never:
    """Raise a `ValueError` for NaN and infinity; the `parse_constant` of `json.loads`."""
    raise ValueError(f"{constant} is not a JSON number")
