"""From a request to the traces of its documents: limits, the scheduler, deadlines, and clients that go away."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from nlp_inference.document import Document
from nlp_inference.document.inputs import as_id
from nlp_inference.errors import PredictionError
from nlp_inference.predict.predictor import Predictor
from nlp_inference.predict.trace import Trace
from nlp_inference.registry import explain
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.lanes import Ticket
from nlp_inference.serving.metrics import Metrics
from nlp_inference.serving.models import ServedModel
from nlp_inference.serving.scheduler import Scheduler
from nlp_inference.serving.schemas import DocumentInput
from nlp_inference.serving.settings import ServerSettings
from nlp_inference.serving.tracing import Tracing

TIMEOUT_HEADER = "x-request-timeout"


def as_document(given: DocumentInput | str, *, number: int, max_characters: int) -> Document:
    """Return the document of a request.

    Args:
        given: the document as it was sent.
        number: its index in the request, which is its id if it has none.
        max_characters: limit of its texts.

    Raises:
        RequestError: 413 for a text that is too long, 422 for one that is not valid.
    """
    fields = {"text": given} if isinstance(given, str) else {name: getattr(given, name) for name in _FIELDS}
    identifier = str(number) if fields.get("id") is None else as_id(fields["id"])
    length = len(fields["text"]) + len(fields.get("text_pair") or "")
    if length > max_characters:
        raise RequestError(
            413,
            f"document {identifier!r} has {length} characters; the limit is {max_characters}. Split it",
            kind="TooLargeError",
        )
    try:
        return Document(
            raw_text=fields["text"],
            raw_text_pair=fields.get("text_pair"),
            id=identifier,
            gold=fields.get("gold"),
            metadata=fields.get("metadata") or {},
        )
    except ValidationError as error:
        message = f"document {identifier!r}: {explain(error, Document)}"
        raise RequestError(422, message, kind="InvalidDocumentError") from error


_FIELDS = tuple(DocumentInput.model_fields)


class Predictions:
    """Prediction of the documents of requests.

    Args:
        scheduler: the scheduler.
        settings: the limits.
        metrics: the metrics that count the documents.
        tracing: what records the stages of documents.
    """

    def __init__(
        self, scheduler: Scheduler, settings: ServerSettings, metrics: Metrics, tracing: Tracing | None = None
    ) -> None:
        self._scheduler, self._settings, self._metrics, self._tracing = scheduler, settings, metrics, tracing

    def documents(self, given: Sequence[DocumentInput | str]) -> list[Document]:
        """Return the documents of a request; see `as_document`."""
        most = self._settings.max_characters
        return [as_document(one, number=number, max_characters=most) for number, one in enumerate(given)]

    def check_room(self, count: int, *, timeout: float) -> None:
        """Check that a request of `count` documents may enter the queue.

        Raises:
            RequestError: 413 for too many documents, 429 while the queue is full or longer than the timeout.
        """
        if count > self._settings.max_documents:
            raise RequestError(
                413,
                f"the request has {count} documents; the limit is {self._settings.max_documents}. Send several "
                "requests, or JSON Lines to /documents/stream",
                kind="TooLargeError",
            )
        waiting = self._scheduler.documents
        full = waiting and waiting + count > self._settings.max_queue
        if full or self._scheduler.wait_seconds > timeout:
            raise RequestError(
                429,
                f"{waiting} documents are in flight; try again after the seconds in Retry-After",
                kind="Overloaded",
                retry_after=min(self._scheduler.wait_seconds, timeout),
            )

    async def predict(
        self,
        request: Request,
        model: ServedModel,
        documents: Sequence[Document],
        *,
        decoder: Predictor | None = None,
    ) -> list[Trace]:
        """Predict the documents of a request, in order; a document that fails has its failure in the trace.

        Args:
            request: the request, whose body was read. Its documents leave the queue when its client goes away.
            model: the model.
            documents: the documents.
            decoder: what decodes the outputs; see `Scheduler.submit`.

        Raises:
            RequestError: 413, 429; 503 while the server stops; 504 if the deadline passes.
            ClientDisconnect: the client went away.
        """
        timeout = self.timeout_of(request)
        self.check_room(len(documents), timeout=timeout)
        tickets = [self.submit(model, document, decoder=decoder) for document in documents]
        return await _results(request, tickets, timeout=timeout)

    def submit(self, model: ServedModel, document: Document, *, decoder: Predictor | None = None) -> Ticket:
        """Queue one document without checking the limits of the queue.

        Raises:
            RequestError: 503 while the server stops.
        """
        try:
            ticket = self._scheduler.submit(model.predictor, document, decoder=decoder)
        except PredictionError as error:
            raise RequestError(503, str(error), retry_after=1) from error
        ticket.future.add_done_callback(lambda _: self._count(model.name, ticket))
        return ticket

    def timeout_of(self, request: Request) -> float:
        """Return the seconds that the request may take.

        Raises:
            RequestError: 422, the header is not a positive number.
        """
        given = request.headers.get(TIMEOUT_HEADER)
        if given is None:
            return self._settings.timeout
        with suppress(ValueError):
            seconds = float(given)
            if 0 < seconds < float("inf"):
                return min(seconds, self._settings.timeout)
        raise RequestError(422, f"X-Request-Timeout is {given[:40]!r}; expected a positive number of seconds")

    def _count(self, model: str, ticket: Ticket) -> None:
        future = ticket.future
        outcome = "canceled" if future.cancelled() else "failed" if future.result().failure else "predicted"
        self._metrics.documents.labels(model, outcome).inc()
        if self._tracing is not None:  # in the context of the request, which submitted the document
            self._tracing.stages(ticket.stages, {"nlp.model": model, "nlp.outcome": outcome})


async def _results(request: Request, tickets: Sequence[Ticket], *, timeout: float) -> list[Trace]:
    """Wait for the tickets, the deadline or the end of the connection; then cancel the tickets that are left."""
    gone = asyncio.ensure_future(_disconnected(request))
    predicted = [ticket.future for ticket in tickets]
    every: asyncio.Future[Any] = predicted[0] if len(predicted) == 1 else asyncio.gather(*predicted)
    try:
        done, _ = await asyncio.wait([every, gone], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if every in done:
            return [future.result() for future in predicted]
        if gone in done:
            raise ClientDisconnect
        raise RequestError(504, f"the prediction took longer than {timeout:g} seconds; try again", kind="Timeout")
    finally:
        gone.cancel()
        every.add_done_callback(_retrieve)
        every.cancel()


def _retrieve(future: "asyncio.Future[Any]") -> None:
    """Read the error of a canceled `gather`, which asyncio would report as never retrieved."""
    if not future.cancelled():
        future.exception()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
