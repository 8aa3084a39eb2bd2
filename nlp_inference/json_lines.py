"""One line of JSON Lines: bytes to text, text to a value; the same rules for training and for production."""

import json
from typing import Any, Never

from nlp_inference.errors import InvalidDocumentError

BYTE_ORDER_MARK = "\ufeff"


def decode_line(line: str | bytes) -> str:
    r"""A line as text, without its line feed or carriage return and line feed.

    Raises:
        InvalidDocumentError: the bytes are no UTF-8.

    Example:
        >>> decode_line(b"caf\xc3\xa9\r\n")
        'café'
    """
    try:
        content = line.decode("utf-8") if isinstance(line, bytes) else line
    except UnicodeDecodeError as error:
        raise InvalidDocumentError(
            f"byte {error.start} of the line is no UTF-8 ({error.reason}); save the text as UTF-8"
        ) from error
    return content.removesuffix("\n").removesuffix("\r")


def parse_json(content: str) -> Any:
    """The value of one line of JSON, a byte order mark before it or not (https://www.rfc-editor.org/rfc/rfc8259).

    Raises:
        InvalidDocumentError: it is no JSON, such as `NaN`, or nested too deeply.

    Example:
        >>> parse_json('{"text": "Hi"}')
        {'text': 'Hi'}
    """
    try:
        return json.loads(content.strip().removeprefix(BYTE_ORDER_MARK), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise InvalidDocumentError("the JSON is nested too deeply; write a flat object") from error
    except ValueError as error:
        raise InvalidDocumentError(f"not valid JSON: {error}") from error


def _refuse_constant(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON number")
