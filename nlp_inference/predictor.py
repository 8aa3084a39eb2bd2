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
from nlp_inference.errors import InvalidSpecError, PredictionError
from nlp_inference.layout import Row
from nlp_inference.processor import Processor
from nlp_inference.tasks import Arrays


class UnreadableItem(NamedTuple):
    """Stands in a source for what could not be read, so that what comes after it can be.

    Args:
        id: what to call it, such as `mails.jsonl:17`.
        cause: why it could not be read.
    """

    id: str
    cause: Exception


Item = str | Mapping[str, Any] | Document | UnreadableItem
"""A text, a Document or the fields of one."""

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
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a processor and its model from a folder or the Hub.

        Args:
            name_or_path: a folder that training wrote, or a Hub id.
            backend: what runs the model.
            device: such as `"cpu"` or `"cuda:1"`; `None` takes a GPU if there is one.
            dtype: precision of the weights, such as `"float32"` or `"bfloat16"`.
            revision: branch, tag or commit on the Hub.
            token: for a private model on the Hub; `True` takes the one that `hf auth login` stored.
            cache_dir: where downloads are kept, in place of the Hub's own cache.
            local_files_only: load what was downloaded before, and never ask the network.

        Raises:
            MissingExtraError: the backend is not installed.
            ArtefactError: the model is not the one that the processor was saved with.
        """
        hub_options: dict[str, Any] = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
        processor = Processor.from_pretrained(name_or_path, revision=revision, **hub_options)
        require(backend, extra=backend)
        from nlp_inference.backends.torch import TorchBackend

        model = TorchBackend.from_pretrained(
            name_or_path,
            task=processor.task,
            device=device,
            dtype=dtype,
            revision=revision,
            hub_options=hub_options,
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
            TypeError: `items` is a single text or document.
            InvalidSpecError: `on_error` is neither.
        """
        return list(self.stream(items, on_error=on_error))

    @overload
    def stream(self, items: Iterable[Item], *, on_error: Literal["raise"] = "raise") -> Iterator[Document]: ...
    @overload
    def stream(self, items: Iterable[Item], *, on_error: Literal["record"]) -> Iterator[Document | FailedDocument]: ...
    def stream(self, items: Iterable[Item], *, on_error: Literal["raise", "record"] = "raise") -> Iterator[Any]:
        """Predict texts or Documents one after the other, in bounded memory; see `predict`.

        If the source of the items fails, what came before is predicted first, and then its error is raised.
        """
        if isinstance(items, str | bytes | Mapping | Document):
            raise TypeError(f"expected several texts, but got the single one {_shorten(items)}; put it in a list")
        if on_error not in ("raise", "record"):
            raise InvalidSpecError(f"on_error is {on_error!r}; write 'raise' or 'record'")
        results = (result for chunk in _look_ahead(items) for result in self._predict_chunk(chunk))
        return (_settle(result, record=on_error == "record") for result in results)

    def _predict_chunk(self, chunk: list[tuple[str, Item]]) -> list["Document | _Failure"]:
        documents = [_attempt(_name(item, number), _read, item, number) for number, item in chunk]
        readable = [
            one if isinstance(one, _Failure) else _attempt(one.document.id, self._with_rows, one)
            for one in self._encode(documents)
        ]
        outputs = iter(self._forward([row for one in readable if isinstance(one, _Readable) for row in one.rows]))
        return [
            one if isinstance(one, _Failure) else _attempt(one.encoded.document.id, self._decode, one, outputs)
            for one in readable
        ]

    def _with_rows(self, encoded: EncodedDocument) -> "_Readable":
        return _Readable(encoded, self.processor.rows(encoded))

    def _decode(self, one: "_Readable", outputs: Iterator["Arrays | Exception"]) -> Document:
        """Decode the next outputs, which are those of this document's rows."""
        own: list[Arrays] = []
        failures: list[Exception] = []
        for output in islice(outputs, len(one.rows)):
            if isinstance(output, Exception):
                failures.append(output)
            else:
                own.append(output)
        if failures:
            raise failures[0]
        return self.processor.decode_outputs(one.encoded, one.rows, own)

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

    def _forward(self, rows: Sequence[Row]) -> list["Arrays | Exception"]:
        """The model's outputs for each row, from batches of rows of like length, or what the row made it fail of."""
        outputs: list[Arrays | Exception] = [{}] * len(rows)
        lengths = [len(row.input_ids) for row in rows]
        for positions in token_budget_batches(lengths, self.backend.token_budget):
            answers = self._run([rows[position] for position in positions])
            for position, answer in zip(positions, answers, strict=True):
                outputs[position] = answer
        return outputs

    def _run(self, rows: Sequence[Row]) -> list["Arrays | Exception"]:
        """Run one batch; if a row makes it fail, each goes alone."""
        try:
            batch = self.backend.forward(self.processor.layout.pad(rows))
            return [{name: array[index] for name, array in batch.items()} for index in range(len(rows))]
        except Exception as error:  # noqa: BLE001 - out of memory, an index, whatever a model or a device may raise
            if len(rows) == 1:
                return [error]
        return [answer for row in rows for answer in self._run([row])]


class _Readable(NamedTuple):
    """A document that can be asked of the model, and the input row for each of its windows."""

    encoded: EncodedDocument
    rows: list[Row]


class _Failure(NamedTuple):
    """A document that failed on its way, and what it failed of."""

    id: str
    cause: Exception

    def record(self) -> FailedDocument:
        name, message = _writable(self.id), _writable(str(self.cause))
        return FailedDocument(id=name, error=type(self.cause).__name__, message=message)

    def error(self) -> PredictionError:
        name, message = f"document {self.id!r}: ", str(self.cause)
        return PredictionError(message if message.startswith(name) else name + message)


def _settle(result: Document | _Failure, *, record: bool) -> Document | FailedDocument:
    if isinstance(result, Document):
        return result
    if record:
        return result.record()
    raise result.error() from result.cause


def _attempt(document_id: str | None, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call `function`, or say what one document failed of, so that the others go on."""
    try:
        return function(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - a document must not take its neighbours down, whatever it breaks
        return _Failure(str(document_id), error)


def _read(item: Item, number: str) -> Document:
    if isinstance(item, UnreadableItem):
        raise item.cause
    return as_document(item, default_id=number)


def _name(item: Item, number: str) -> str:
    """What to call an item that may not even be a document."""
    given = item.get("id") if isinstance(item, Mapping) else item.id if isinstance(item, UnreadableItem) else None
    return given if isinstance(given, str) else number


def _writable(text: str) -> str:
    """Lone surrogates, which no UTF-8 file can hold, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shorten(items: object) -> str:
    shown = repr(items)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def _look_ahead(items: Iterable[Item]) -> Iterator[list[tuple[str, Item]]]:
    """Cut a stream into chunks of bounded size, each item with its number as a name, up to where the stream fails."""
    chunk: list[tuple[str, Item]] = []
    characters = 0
    try:
        for number, item in enumerate(items):
            chunk.append((str(number), item))
            characters += _characters(item)
            if len(chunk) == LOOK_AHEAD_DOCUMENTS or characters >= LOOK_AHEAD_CHARACTERS:
                yield chunk
                chunk, characters = [], 0
    except Exception:  # the source broke: what it gave before is still answered
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _characters(item: Item) -> int:
    if isinstance(item, Mapping):
        item = item.get("raw_text", "")
    return len(item.raw_text if isinstance(item, Document) else item) if isinstance(item, str | Document) else 0
