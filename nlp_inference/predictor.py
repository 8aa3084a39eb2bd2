"""The route: text in, Document with a prediction out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, overload

from pydantic import BaseModel, ConfigDict

from nlp_inference._optional import require
from nlp_inference.backends.base import Backend
from nlp_inference.batching import token_budget_batches
from nlp_inference.document import Document, as_document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.errors import PredictionError
from nlp_inference.layout import Row
from nlp_inference.processor import Processor
from nlp_inference.tasks import Arrays

Item = str | Mapping[str, Any] | Document

LOOK_AHEAD_DOCUMENTS = 1024
LOOK_AHEAD_CHARACTERS = 2_000_000
"""How much is read ahead of the model, to make batches of like length: the bound of a stream's memory."""


class FailedDocument(BaseModel):
    """Stands in the place of a Document that could not be predicted, and says which one and why."""

    model_config = ConfigDict(frozen=True)

    id: str
    error: str
    message: str


class Predictor:
    """Predicts Documents with a processor and a model.

    Args:
        processor: what was saved with the model.
        backend: runs the model.

    Example:
        >>> predictor = Predictor.from_pretrained("org/model")  # doctest: +SKIP
        >>> predictor.predict(["Ana lives in Rome"])[0].predicted.spans  # doctest: +SKIP
        (Span(start=13, end=17, label='CITY', score=0.99),)
    """

    def __init__(self, processor: Processor, backend: Backend) -> None:
        self.processor = processor
        self.backend = backend

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        backend: Literal["torch"] = "torch",
        device: str | None = None,
        dtype: str = "float32",
        revision: str = "main",
    ) -> Self:
        """Load a processor and its model from a folder or the Hub.

        Args:
            name_or_path: a folder that training wrote, or a Hub id.
            backend: what runs the model.
            device: such as `"cpu"` or `"cuda:1"`; `None` takes a GPU if there is one.
            dtype: precision of the weights, such as `"float32"` or `"bfloat16"`.
            revision: branch, tag or commit on the Hub.

        Raises:
            MissingExtraError: the backend is not installed.
            ArtefactError: the model is not the one that the processor was saved with.
        """
        processor = Processor.from_pretrained(name_or_path, revision=revision)
        require(backend, extra=backend)
        from nlp_inference.backends.torch import TorchBackend

        model = TorchBackend.from_pretrained(
            name_or_path, task=processor.task, device=device, dtype=dtype, revision=revision
        )
        return cls(processor, model)

    @overload
    def predict(self, items: Iterable[Item], *, on_error: Literal["raise"] = "raise") -> list[Document]: ...
    @overload
    def predict(self, items: Iterable[Item], *, on_error: Literal["record"]) -> list[Document | FailedDocument]: ...
    def predict(self, items: Iterable[Item], *, on_error: Literal["raise", "record"] = "raise") -> list[Any]:
        """Predict texts or Documents; their order is kept.

        Args:
            items: texts, Documents, or mappings of a Document's fields. Without an id, a document's number is its id.
            on_error: `raise` stops at a document that fails; `record` puts a `FailedDocument` in its place.

        Raises:
            PredictionError: a document failed and `on_error` is `raise`.
        """
        if isinstance(items, str):
            raise TypeError(f"predict takes several texts, but got the single text {items[:40]!r}; put it in a list")
        return list(self.stream(items, on_error=on_error))

    @overload
    def stream(self, items: Iterable[Item], *, on_error: Literal["raise"] = "raise") -> Iterator[Document]: ...
    @overload
    def stream(self, items: Iterable[Item], *, on_error: Literal["record"]) -> Iterator[Document | FailedDocument]: ...
    def stream(self, items: Iterable[Item], *, on_error: Literal["raise", "record"] = "raise") -> Iterator[Any]:
        """Predict texts or Documents one after the other, in bounded memory; see `predict`."""
        for chunk in _look_ahead(items):
            for result in self._predict_chunk(chunk):
                if isinstance(result, Document):
                    yield result
                elif on_error == "record":
                    yield result.record()
                else:
                    raise PredictionError(f"document {result.id!r}: {result.cause}") from result.cause

    def _predict_chunk(self, chunk: list[tuple[str, Item]]) -> list["Document | _Failure"]:
        documents = [_attempt(_name(item, number), as_document, item, default_id=number) for number, item in chunk]
        encoded = self._encode(documents)
        readable = [one for one in encoded if isinstance(one, EncodedDocument)]
        rows = [self.processor.rows(one) for one in readable]
        outputs = iter(self._forward([row for of_document in rows for row in of_document]))
        decoded = iter(
            [
                _attempt(
                    one.document.id,
                    self.processor.decode_outputs,
                    one,
                    of_document,
                    [*islice(outputs, len(of_document))],
                )
                for one, of_document in zip(readable, rows, strict=True)
            ]
        )
        return [next(decoded) if isinstance(one, EncodedDocument) else one for one in encoded]

    def _encode(self, documents: list["Document | _Failure"]) -> list["EncodedDocument | _Failure"]:
        """Encode what can be encoded; if one document makes the batch fail, each goes alone."""
        sound = [document for document in documents if isinstance(document, Document)]
        try:
            encoded: Iterator[Any] = iter(self.processor.encode(sound))
        except Exception:  # noqa: BLE001 - whatever it was, it comes again for the document that caused it
            encoded = iter([_attempt(document.id, self._encode_one, document) for document in sound])
        return [next(encoded) if isinstance(document, Document) else document for document in documents]

    def _encode_one(self, document: Document) -> EncodedDocument:
        return self.processor.encode([document])[0]

    def _forward(self, rows: Sequence[Row]) -> list[Arrays]:
        """The model's outputs for each row, from batches of rows of like length."""
        outputs: list[Arrays] = [{}] * len(rows)
        lengths = [len(row.input_ids) for row in rows]
        for positions in token_budget_batches(lengths, self.backend.token_budget):
            batch = self.backend.forward(self.processor.layout.pad([rows[position] for position in positions]))
            for index, position in enumerate(positions):
                outputs[position] = {name: array[index] for name, array in batch.items()}
        return outputs


class _Failure(NamedTuple):
    """A document that failed on its way, and what it failed of."""

    id: str
    cause: Exception

    def record(self) -> FailedDocument:
        return FailedDocument(id=self.id, error=type(self.cause).__name__, message=str(self.cause))


def _attempt(document_id: str | None, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call `function`, or say what one document failed of, so that the others go on."""
    try:
        return function(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - a document must not take its neighbours down, whatever it breaks
        return _Failure(str(document_id), error)


def _name(item: Item, number: str) -> str:
    """What to call an item that may not even be a document."""
    given = item.get("id") if isinstance(item, Mapping) else None
    return given if isinstance(given, str) else number


def _look_ahead(items: Iterable[Item]) -> Iterator[list[tuple[str, Item]]]:
    """Cut a stream into chunks of bounded size, each item with its number as a name."""
    chunk: list[tuple[str, Item]] = []
    characters = 0
    for number, item in enumerate(items):
        chunk.append((str(number), item))
        characters += _characters(item)
        if len(chunk) == LOOK_AHEAD_DOCUMENTS or characters >= LOOK_AHEAD_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _characters(item: Item) -> int:
    if isinstance(item, Mapping):
        item = item.get("raw_text", "")
    return len(item.raw_text if isinstance(item, Document) else item) if isinstance(item, str | Document) else 0
