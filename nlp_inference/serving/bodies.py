"""Reading of request bodies: bounded in size and time, and strict JSON."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from nlp_inference.files.json_lines import BYTE_ORDER_MARK, strict_json
from nlp_inference.registry import explain
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.settings import ServerSettings

M = TypeVar("M", bound=BaseModel)

_MAX_OBJECTS = 200_000
"""Limit of the objects and arrays in a body; each takes about 20 times the memory of its bytes."""

JSON, JSON_LINES = "application/json", "application/jsonl"
_JSON_LINES_TYPES = (JSON_LINES, "application/x-ndjson", "application/x-jsonlines")


async def read_json(request: Request, settings: ServerSettings) -> Any:
    """Return the JSON value of a request body.

    Raises:
        RequestError: 400 for invalid JSON, 408 for a slow client, 413 for a large body, 415 for another content type.
    """
    check_content(request, JSON)
    return parse_json(await _read(request, settings))


async def read_model(request: Request, model: type[M], settings: ServerSettings) -> M:
    """Return the request body as a pydantic model; see `read_json`.

    Raises:
        RequestError: also 422 for a value that does not fit the model.
    """
    return validated(await read_json(request, settings), model)


def validated(value: Any, model: type[M]) -> M:
    """Validate a JSON value.

    Raises:
        RequestError: 422 for a value that does not fit the model.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RequestError(422, explain(error, model), kind="ValidationError") from error


def check_content(request: Request, *types: str) -> None:
    """Check the content type and the encoding of a request body.

    Raises:
        RequestError: 415 for another content type, or a compressed body.
    """
    given = request.headers.get("content-type", "")
    name, _, parameters = given.partition(";")
    charset = parameters.lower().replace('"', "").replace(" ", "")
    allowed = (*types, *(_JSON_LINES_TYPES if JSON_LINES in types else ()))
    if name.strip().lower() not in allowed or charset not in ("", "charset=utf-8"):
        raise RequestError(415, f"the content type is {given[:80]!r}; send {types[0]} in UTF-8 (curl --json)")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise RequestError(415, f"the content encoding is {encoding[:40]!r}; send the body without compression")


async def _read(request: Request, settings: ServerSettings) -> bytes:
    size = request.headers.get("content-length", "0")
    if size.isdecimal() and int(size) > settings.max_body_bytes:
        raise _too_large(settings)
    try:
        async with asyncio.timeout(settings.body_timeout):
            return b"".join([part async for part in _parts(request, settings)])
    except TimeoutError as error:
        raise RequestError(408, f"the body did not arrive within {settings.body_timeout:g} seconds") from error


async def _parts(request: Request, settings: ServerSettings) -> AsyncIterator[bytes]:
    received = 0
    async for part in request.stream():
        received += len(part)
        if received > settings.max_body_bytes:
            raise _too_large(settings)
        yield part


def _too_large(settings: ServerSettings) -> RequestError:
    return RequestError(
        413,
        f"the body has more than {settings.max_body_bytes} bytes; send fewer documents, or JSON Lines to "
        "/documents/stream",
    )


def parse_json(body: bytes) -> Any:
    """Parse strict JSON (https://www.rfc-editor.org/rfc/rfc8259) without duplicate keys, with or without a BOM.

    Raises:
        RequestError: 400 for anything else: another encoding, NaN, a key that occurs twice, deep nesting.

    Example:
        >>> parse_json(b'{"text": "Hi"}')
        {'text': 'Hi'}
    """
    try:
        text = body.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the body is not valid UTF-8 at byte {error.start}", kind="InvalidJson") from error
    if text.count("{") + text.count("[") > _MAX_OBJECTS:
        raise RequestError(413, f"the body has more than {_MAX_OBJECTS} objects and arrays", kind="TooLargeError")
    try:
        value = strict_json(text)
        if "\\ud" in text or "\\uD" in text:  # the escape of a surrogate, which may have no partner
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        message = "the JSON contains a lone surrogate, which is not a character; remove it"
        raise RequestError(400, message, kind="InvalidJson") from error
    except ValueError as error:
        raise RequestError(400, f"not valid JSON: {error}", kind="InvalidJson") from error
    return value
