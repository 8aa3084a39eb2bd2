"""A typed client of the server: texts in, Documents out, as from a `Predictor`."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any, Self

import httpx2
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from nlp_inference.document import Annotation, Coverage, Document, FailedDocument
from nlp_inference.document.aligned_text import EditRecord
from nlp_inference.document.inputs import Item, read_item
from nlp_inference.errors import ServerError
from nlp_inference.predict.predictor import Heads, Single
from nlp_inference.serving.schemas import ServerInfo

Result = Document | FailedDocument

_TRY_AGAIN = (429, 503)
_SENT_TOGETHER = 256
_MAX_WAIT = 60.0


class _Calls:
    """What both clients share: requests and the reading of responses."""

    def __init__(self, *, api_key: str | None, model: str | None, retries: int) -> None:
        self.headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._model = model
        self.retries = retries

    def query(self, *, heads: Heads, explain: bool = False) -> dict[str, Any]:
        """Return the query parameters."""
        query: dict[str, Any] = {} if self._model is None else {"model": self._model}
        return {**query, **({"heads": list(heads)} if heads else {}), **({"explain": "true"} if explain else {})}

    def prediction(self, body: Any, query: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request that predicts a body."""
        headers = {"Content-Type": "application/json"}
        return {"url": "documents", "content": to_json(body), "params": dict(query), "headers": headers}

    def stream(self, documents: Sequence[Document], *, heads: Heads) -> dict[str, Any]:
        """Return the request that predicts documents as JSON Lines."""
        return {
            "method": "POST",
            "url": "documents/stream",
            "content": b"".join(to_json(_sent(document)) + b"\n" for document in documents),
            "params": self.query(heads=heads),
            "headers": {"Content-Type": "application/jsonl"},
        }


def _documents(items: Iterable[Item], *, begin: int = 0) -> list[Document]:
    return [read_item(item, number=str(number)) for number, item in enumerate(items, begin)]


def _parts(items: Iterable[Item]) -> Iterator[list[Document]]:
    """Yield the documents of each request, numbered over all requests."""
    waiting, number = iter(items), 0
    while documents := _documents(islice(waiting, _SENT_TOGETHER), begin=number):
        number += len(documents)
        yield documents


def _sent(document: Document) -> dict[str, Any]:
    fields = {"text": document.raw_text, "text_pair": document.raw_text_pair, "id": document.id}
    gold = None if document.gold is None else document.gold.model_dump(mode="json")
    return {**{name: value for name, value in fields.items() if value is not None}, **({"gold": gold} if gold else {})}


def _result(document: Document, output: Mapping[str, Any]) -> Result:
    if "error" in output:
        return FailedDocument(id=str(document.id), error=output["error_type"], message=output["error"])
    predicted = document.with_predicted(
        Annotation.model_validate(output["predicted"]), coverage=Coverage.model_validate(output["coverage"])
    )
    explanation = output.get("explanation")
    if explanation is None:
        return predicted
    edits = {name: _edit_records().validate_python(explanation[name]) for name in ("edits", "edits_pair")}
    return predicted.model_copy(update=edits)


@cache
def _edit_records() -> TypeAdapter[tuple[EditRecord, ...]]:
    return TypeAdapter(tuple[EditRecord, ...])


def _checked(response: httpx2.Response) -> Any:
    """Return the JSON of a response.

    Raises:
        ServerError: it is an error.
    """
    content: Any = None
    with suppress(ValueError):
        content = from_json(response.content)
    if response.is_success:
        return content
    message = content.get("error") if isinstance(content, dict) else None
    raise ServerError(f"the server returned status {response.status_code}: {message or response.text[:200]}")


def _wait(response: httpx2.Response) -> float:
    with suppress(ValueError):
        return min(_MAX_WAIT, max(0.0, float(response.headers.get("retry-after", "1"))))
    return 1.0


class Client:
    """A client that blocks.

    Args:
        url: the URL of the server, such as `http://localhost:8000`.
        api_key: the API key, if the server requires one.
        model: the name of the model; `None` means the default of the server.
        timeout: seconds in which a request must be completed.
        retries: how often a request is sent again that the server refused because it is busy or not ready.

    Raises:
        ServerError: by every method, the server returned an error.
        httpx2.TransportError: by every method, the server cannot be reached.

    Example:
        >>> def spans(text):
        ...     with Client("http://localhost:8000") as client:
        ...         return client.predict(text).predicted.spans
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        model: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
    ) -> None:
        self._calls = _Calls(api_key=api_key, model=model, retries=retries)
        self._http = httpx2.Client(base_url=url, headers=self._calls.headers, timeout=timeout)

    def predict(self, items: Single | Sequence[Item], *, heads: Heads = None, explain: bool = False) -> Any:
        """Predict one text or Document, or several in order; as `Predictor.predict` with `on_error="record"` for lists.

        Args:
            items: as for `Predictor.predict`.
            heads: the names of the heads to decode; `None` decodes all.
            explain: whether the Documents contain the edits of preprocessing.

        Returns:
            One Document for a single text, Document or mapping; otherwise a list, with a `FailedDocument` in the place
            of each document that failed.

        Raises:
            ServerError: the server returned an error.
        """
        query = self._calls.query(heads=heads, explain=explain)
        if isinstance(items, str | Mapping | Document):
            (document,) = _documents([items])
            return _result(document, self._post(_sent(document), query))
        results: list[Result] = []
        for documents in _parts(items):
            content = self._post({"documents": list(map(_sent, documents))}, query)
            results += map(_result, documents, content["documents"])
        return results

    def stream(self, items: Iterable[Item], *, heads: Heads = None) -> Iterator[Result]:
        """Predict texts one after the other, in requests of 256, in bounded memory.

        Args:
            items: as for `Predictor.stream`.
            heads: the names of the heads to decode; `None` decodes all.
        """
        for documents in _parts(items):
            with self._http.stream(**self._calls.stream(documents, heads=heads)) as response:
                if not response.is_success:
                    response.read()
                    _checked(response)
                for document, line in zip(documents, response.iter_lines(), strict=True):
                    yield _result(document, from_json(line))

    def info(self) -> ServerInfo:
        """Return the models and the limits of the server."""
        return ServerInfo.model_validate(_checked(self._http.get("info")))

    def ready(self) -> bool:
        """Return whether every model is loaded and verified."""
        with suppress(httpx2.TransportError):
            return self._http.get("readyz").is_success
        return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _post(self, body: Any, query: Mapping[str, Any]) -> Any:
        request = self._calls.prediction(body, query)
        for left in range(self._calls.retries, -1, -1):
            response = self._http.post(**request)
            if response.status_code not in _TRY_AGAIN or not left:
                return _checked(response)
            time.sleep(_wait(response))
        return None


class AsyncClient:
    """A client for asyncio; see `Client`.

    Example:
        >>> async def spans(text):
        ...     async with AsyncClient("http://localhost:8000") as client:
        ...         return (await client.predict(text)).predicted.spans
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        model: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
    ) -> None:
        self._calls = _Calls(api_key=api_key, model=model, retries=retries)
        self._http = httpx2.AsyncClient(base_url=url, headers=self._calls.headers, timeout=timeout)

    async def predict(self, items: Single | Sequence[Item], *, heads: Heads = None, explain: bool = False) -> Any:
        """Predict one text or Document, or several in order; see `Client.predict`."""
        query = self._calls.query(heads=heads, explain=explain)
        if isinstance(items, str | Mapping | Document):
            (document,) = _documents([items])
            return _result(document, await self._post(_sent(document), query))
        results: list[Result] = []
        for documents in _parts(items):
            content = await self._post({"documents": list(map(_sent, documents))}, query)
            results += map(_result, documents, content["documents"])
        return results

    async def stream(self, items: Iterable[Item], *, heads: Heads = None) -> AsyncIterator[Result]:
        """Predict texts one after the other; see `Client.stream`."""
        for documents in _parts(items):
            async with self._http.stream(**self._calls.stream(documents, heads=heads)) as response:
                if not response.is_success:
                    await response.aread()
                    _checked(response)
                left = iter(documents)
                async for line in response.aiter_lines():
                    yield _result(next(left), from_json(line))

    async def info(self) -> ServerInfo:
        """Return the models and the limits of the server."""
        return ServerInfo.model_validate(_checked(await self._http.get("info")))

    async def ready(self) -> bool:
        """Return whether every model is loaded and verified."""
        with suppress(httpx2.TransportError):
            return (await self._http.get("readyz")).is_success
        return False

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _post(self, body: Any, query: Mapping[str, Any]) -> Any:
        request = self._calls.prediction(body, query)
        for left in range(self._calls.retries, -1, -1):
            response = await self._http.post(**request)
            if response.status_code not in _TRY_AGAIN or not left:
                return _checked(response)
            await asyncio.sleep(_wait(response))
        return None
