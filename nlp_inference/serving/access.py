"""What surrounds every endpoint: request ids, keys, logs, metrics, headers, and errors without stack traces."""

import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from traceback import format_tb

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.security import check_key, security_headers
from nlp_inference.serving.service import Service

Endpoint = Callable[[Request], Awaitable[Response]]

_LOGGER = logging.getLogger("nlp_inference.serving.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True)
class Rules:
    """What an endpoint requires.

    Attributes:
        name: the name in metrics and logs.
        key: which keys it requires: those of the API, those of administrators, or none.
        drains: whether it is refused while the server stops.
        page: whether it returns a page.
    """

    name: str
    key: str = "api"
    drains: bool = True
    page: bool = False


def surrounded(endpoint: Endpoint, rules: Rules, service: Service) -> Endpoint:
    """Return the endpoint with everything that surrounds it."""
    headers = security_headers(page=rules.page, frame_ancestors=service.settings.frame_ancestors)

    async def run(request: Request) -> Response:
        started = perf_counter()
        request_id = _request_id(request)
        with _span(request, rules, service) as responses:
            response = await _response(endpoint, request, rules, service, request_id=request_id)
            responses.append(response)
        response.headers.update(headers)
        response.headers["X-Request-ID"] = request_id
        response.headers.setdefault("Cache-Control", "no-store")
        _record(request, response, rules, service, request_id=request_id, seconds=perf_counter() - started)
        return response

    return run


def _span(request: Request, rules: Rules, service: Service) -> AbstractContextManager[list[Response]]:
    return nullcontext([]) if service.tracing is None else service.tracing.request(request, rules.name)


async def _response(
    endpoint: Endpoint, request: Request, rules: Rules, service: Service, *, request_id: str
) -> Response:
    try:
        _check(request, rules, service)
        return await endpoint(request)
    except RequestError as error:
        response = error.response(request_id=request_id)
        if error.status in (408, 413):
            response.headers["Connection"] = "close"  # the rest of the body is not read
        return response
    except ClientDisconnect:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    except Exception as error:  # noqa: BLE001 - clients get no stack trace, whatever fails
        frames = "".join(format_tb(error.__traceback__))  # without the message, which may contain a text
        fields = {"event": "error", "request_id": request_id, "type": type(error).__name__, "frames": frames}
        _LOGGER.error("%s", json.dumps(fields))  # noqa: TRY400 - an exception would be logged with its message
        message = "the server failed; its log contains the cause under the request id"
        return RequestError(500, message, kind="InternalError").response(request_id=request_id)


def _check(request: Request, rules: Rules, service: Service) -> None:
    settings = service.settings
    if rules.key == "api" and settings.api_key_hashes:
        check_key(request.headers, (*settings.api_key_hashes, *settings.admin_key_hashes))
    if rules.key == "admin":
        if not settings.admin_key_hashes:
            raise RequestError(403, "no administrator's key is configured; start the server with one", kind="Forbidden")
        check_key(request.headers, settings.admin_key_hashes)
    if rules.drains and service.draining:
        raise RequestError(503, "the server is shutting down", kind="Draining", retry_after=1)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _record(
    request: Request, response: Response, rules: Rules, service: Service, *, request_id: str, seconds: float
) -> None:
    """Count the request, and log it without its content, its query and its headers."""
    service.metrics.requests.labels(rules.name, str(response.status_code)).inc()
    service.metrics.seconds.labels(rules.name).observe(seconds)
    if _LOGGER.isEnabledFor(logging.INFO):
        fields = {
            "event": "request",
            "request_id": request_id,
            "method": request.method,
            "route": rules.name,
            "status": response.status_code,
            "milliseconds": round(1000 * seconds, 2),
        }
        _LOGGER.info("%s", json.dumps(fields))
