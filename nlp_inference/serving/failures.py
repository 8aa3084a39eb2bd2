"""Errors of requests: an HTTP status, and a message that says what to change."""

from math import ceil
from typing import Any

from starlette.responses import Response

from nlp_inference.errors import InvalidDocumentError, InvalidSpecError, PatternTimeoutError, TooLargeError
from nlp_inference.serving.json_response import JsonResponse
from nlp_inference.serving.scheduler import SHARED_ID

_DOCUMENT = f"document {SHARED_ID!r}"
"""The start of messages about a document of a request, which is predicted without its id."""


class RequestError(Exception):
    """A request that gets an error status.

    Args:
        status: the HTTP status.
        message: what is wrong, and what to do.
        kind: the class of the error; `error_type` of the response.
        retry_after: seconds after which the request may succeed.
    """

    def __init__(
        self, status: int, message: str, *, kind: str = "RequestError", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.retry_after = status, message, kind, retry_after

    def response(self, *, request_id: str) -> Response:
        """Return the response, in the form of the Hugging Face inference servers: `error` and `error_type`."""
        body: dict[str, Any] = {"error": self.message, "error_type": self.kind, "request_id": request_id}
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, ceil(self.retry_after)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JsonResponse(body, status_code=self.status, headers=headers)


def failure_of(error: Exception) -> RequestError:
    """Return the request error for the failure of a document; unexpected errors do not show their message."""
    kind, message = type(error).__name__, str(error).replace(f"{_DOCUMENT}: {_DOCUMENT}", "the document")
    message = message.replace(_DOCUMENT, "the document")
    if isinstance(error, TooLargeError):
        return RequestError(413, message, kind=kind)
    if isinstance(error, InvalidDocumentError | InvalidSpecError | PatternTimeoutError):
        return RequestError(422, message, kind=kind)
    return RequestError(500, "the prediction failed; the log of the server states the cause", kind=kind)
