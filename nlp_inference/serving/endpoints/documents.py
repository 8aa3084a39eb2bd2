"""`/documents` and `/documents/stream`: documents in, Documents out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypedDict, cast

from pydantic_core import to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nlp_inference.document import Document
from nlp_inference.document.offsets import OffsetUnit
from nlp_inference.predict.predictor import Predictor
from nlp_inference.serving.bodies import JSON_LINES, check_content, parse_json, read_json, validated
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.json_response import JsonResponse
from nlp_inference.serving.lanes import Ticket
from nlp_inference.serving.models import ServedModel
from nlp_inference.serving.outputs import document_output, failed_output, output_or_failure
from nlp_inference.serving.predictions import as_document
from nlp_inference.serving.schemas import DocumentInput, DocumentsInput
from nlp_inference.serving.service import Service

_UNITS = ("codepoint", "utf-16", "utf-8")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_STREAMED_TOGETHER = 64
"""Documents of one stream in flight. The next line is read when the first of them was written."""

_Begun = tuple[Ticket | RequestError, Document]
"""A document of a stream: its ticket, or why it cannot be predicted."""


class _Shape(TypedDict):
    """The query parameters that shape the output of a document."""

    offsets: OffsetUnit
    explain: bool


@dataclass(frozen=True)
class _Options:
    """The query parameters."""

    model: ServedModel
    decoder: Predictor
    shape: _Shape


class Documents:
    """The endpoints of documents.

    Args:
        service: the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def predict(self, request: Request) -> Response:
        """Predict one document, or the documents of a list."""
        options = self._options(request)
        predictions = self._service.predictions
        body = await read_json(request, self._service.settings)
        if not isinstance(body, dict) or "documents" not in body:
            documents = predictions.documents([validated(body, DocumentInput)])
            (trace,) = await predictions.predict(request, options.model, documents, decoder=options.decoder)
            return JsonResponse(document_output(trace, documents[0], **options.shape))
        documents = predictions.documents(validated(body, DocumentsInput).documents)
        traces = await predictions.predict(request, options.model, documents, decoder=options.decoder)
        outputs = [output_or_failure(*pair, **options.shape) for pair in zip(traces, documents, strict=True)]
        return JsonResponse({"documents": outputs, "model": options.model.name, "revision": options.model.revision})

    async def stream(self, request: Request) -> Response:
        """Predict JSON Lines: one document per line in, one result per line out, in order."""
        options = self._options(request)
        check_content(request, JSON_LINES)
        return _JsonLines(self._results(request, options))

    async def _results(self, request: Request, options: _Options) -> AsyncIterator[bytes]:
        """Yield results while the client sends; it must read them, because only some documents are in flight."""
        begun: asyncio.Queue[_Begun | None] = asyncio.Queue(_STREAMED_TOGETHER)
        reading = asyncio.ensure_future(self._read(request, options, begun))
        try:
            while (one := await begun.get()) is not None:
                yield await _finish(*one, options)
            await reading
        finally:
            reading.cancel()
            while not begun.empty():
                left = begun.get_nowait()
                if left is not None and isinstance(left[0], Ticket):
                    left[0].future.cancel()

    async def _read(self, request: Request, options: _Options, begun: "asyncio.Queue[_Begun | None]") -> None:
        lines = _lines(request, max_bytes=self._service.settings.max_body_bytes)
        number = 0
        try:
            async for line in lines:
                await begun.put(self._begin(line, number, options))
                number += 1
        finally:
            await begun.put(None)

    def _begin(self, line: bytes | RequestError, number: int, options: _Options) -> _Begun:
        try:
            if isinstance(line, RequestError):
                raise line
            given = validated(parse_json(line), DocumentInput)
            document = as_document(given, number=number, max_characters=self._service.settings.max_characters)
        except RequestError as error:
            return error, Document(raw_text="", id=str(number))
        return self._service.predictions.submit(options.model, document, decoder=options.decoder), document

    def _options(self, request: Request) -> _Options:
        query = request.query_params
        unknown = [name for name in query if name not in ("model", "heads", "offsets", "explain")]
        if unknown:
            known = "model, heads, offsets and explain"
            raise RequestError(422, f"unknown query parameter {unknown[0][:64]!r}; there are {known}")
        offsets, explain = query.get("offsets", "codepoint"), query.get("explain", "false").lower()
        if offsets not in _UNITS:
            raise RequestError(422, f"offsets is {offsets[:64]!r}; expected one of {', '.join(_UNITS)}")
        if explain not in _TRUTH:
            raise RequestError(422, f"explain is {explain[:64]!r}; expected true or false")
        shape: _Shape = {"offsets": cast("OffsetUnit", offsets), "explain": _TRUTH[explain]}
        model = self._service.models.get(query.get("model"))
        heads = [head for given in query.getlist("heads") for head in given.split(",")]
        return _Options(model, model.decoder(heads), shape)


async def _finish(ticket: Ticket | RequestError, document: Document, options: _Options) -> bytes:
    if isinstance(ticket, RequestError):
        output = failed_output(ticket, document)
    else:
        output = output_or_failure(await ticket.future, document, **options.shape)
    return to_json(output) + b"\n"


async def _lines(request: Request, *, max_bytes: int) -> AsyncIterator[bytes | RequestError]:
    """Yield the lines of a body; in place of a line that is too long, an error."""
    left, skipping = b"", False
    async for part in request.stream():
        *complete, left = (left + part).split(b"\n")
        for line in complete:
            if skipping:
                skipping = False
            elif line.strip():
                yield line
        if len(left) > max_bytes:
            if not skipping:
                yield RequestError(413, f"the line has more than {max_bytes} bytes", kind="TooLargeError")
            left, skipping = b"", True
    if left.strip() and not skipping:
        yield left


class _JsonLines(Response):
    """A response whose lines are sent as they are made, while the body of the request is still read."""

    media_type = JSON_LINES

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the form of ASGI
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with suppress(ClientDisconnect):
            async for line in self._lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
