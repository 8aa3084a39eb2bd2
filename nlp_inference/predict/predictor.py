"""The Predictor: texts in, Documents with predictions out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, overload

from nlp_inference._utils.late_binding import bound
from nlp_inference._utils.shorten import shorten
from nlp_inference.architectures.input_limits import check_limits
from nlp_inference.backends.base import Backend
from nlp_inference.backends.choice import (
    backend_files,
    choose_backend,
    choose_dtype,
    exported_on_hub,
    load_backend,
    runs_exports,
    saved_dtype,
)
from nlp_inference.backends.padding import check_padding, warn_of_padding
from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.inputs import Chunk, Item, item_name, look_ahead, read_item, writable
from nlp_inference.document.limits import MAX_CHARACTERS
from nlp_inference.drift import Profile, ProfileRecorder
from nlp_inference.encoding.tokenization import highest_token_id, unknown_token_id
from nlp_inference.errors import InvalidDocumentError, InvalidInputError, InvalidSpecError, PredictionError
from nlp_inference.hub import MODEL_NEEDS, SETTINGS_FILES, artefact_folder
from nlp_inference.predict.route import Begun, Route, one_ahead
from nlp_inference.predict.token_budget import TokenBudget, choose_token_budget
from nlp_inference.predict.trace import Trace
from nlp_inference.processor import Processor
from nlp_inference.tasks import DocumentOutputs

if TYPE_CHECKING:
    from nlp_inference.integrations.pipeline import DocumentPipeline


Single = str | Mapping[str, Any] | Document
"""One text, a Document, or a mapping that describes one."""

Heads = Sequence[str] | None
"""Names of heads; `None` means all."""


class Predictor:
    """Prediction of Documents with a processor and a model.

    Args:
        processor: the processor that was saved with the model.
        backend: the backend that runs the model.
        workers: how many batches run at the same time, each with its share of the CPU threads; `None` means one per
            thread, up to eight. Predictions do not depend on it.
        token_budget: tokens of a batch; see `choose_token_budget`. The last bits of a score depend on it.
        max_characters: the maximum length of a text and its text pair together; a longer document fails with
            `TooLargeError`, and the others are predicted. `None` means no limit, so one document may use all memory.

    Raises:
        ArtefactError: the model has no embeddings for some tokens of the tokenizer, or fewer positions than a window
            has tokens.

    Attributes:
        observers: functions that are called with the traces of some documents, in order, before the first of these
            documents is returned. They may read the traces, for example the time of each document, but must not keep
            them, because traces contain every tensor.

    Example:
        >>> predictor = Predictor.from_pretrained("org/model")  # doctest: +SKIP
        >>> predictor.predict(["Ana lives in Rome"])[0].predicted.spans  # doctest: +SKIP
        (Span(start=13, end=17, label='CITY', score=0.99),)
    """

    def __init__(
        self,
        processor: Processor,
        backend: Backend,
        *,
        workers: int | None = None,
        token_budget: TokenBudget | None = None,
        max_characters: int | None = MAX_CHARACTERS,
    ) -> None:
        if max_characters is not None and max_characters < 1:
            raise InvalidSpecError(f"max_characters is {max_characters!r}, expected a positive integer or None")
        self.max_characters = max_characters
        self.processor = processor
        self.backend = backend
        highest_id = highest_token_id(processor.tokenizer)
        limits = getattr(backend, "limits", None)
        self._pair_problem = limits and limits.pair_problem(processor.layout.pair_token_types)
        check_limits(
            limits,
            highest_id=highest_id,
            max_length=processor.layout.max_length,
            max_new_tokens=processor.task.longest_output,
        )
        check_padding(
            backend,
            processor.layout,
            highest_id=highest_id,
            special_ids=processor.tokenizer.all_special_ids,
            with_pairs=processor.task.needs_pair,
        )
        self.route = Route(processor, backend, workers=workers)
        self.token_budget = choose_token_budget(token_budget, processor, self.route.workers)
        self.recorder = ProfileRecorder(
            unknown_id=unknown_token_id(processor.tokenizer),
            transforms=[step.name for step in processor.preprocess],
            bin_value=processor.task.value_bin,
        )
        self.observers: list[Callable[[Sequence[Trace]], None]] = []

    @classmethod
    def from_pretrained(  # noqa: PLR0913 - the arguments are those of transformers
        cls,
        name_or_path: str | Path,
        *,
        backend: str = "auto",
        device: str | None = None,
        dtype: str | None = None,
        revision: str = "main",
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        verify: bool = False,
        workers: int | None = None,
        token_budget: TokenBudget | None = None,
        max_characters: int | None = MAX_CHARACTERS,
    ) -> Self:
        """Load a processor and its model from a folder or the Hub.

        Args:
            name_or_path: a folder that training wrote, or a Hub id.
            backend: the backend: `torch`; `onnx` or `openvino` for files of `nlp-training export`; the name of a
                backend of an installed package; or `auto`, which uses torch if it is installed, and exported files
                otherwise and for `int8`; see `nlp_inference.backends.choice.choose_backend`.
            device: such as `"cpu"` or `"cuda:1"`; `None` uses a GPU if there is one.
            dtype: precision of the weights, such as `"float32"`, `"bfloat16"` or, for an exported model, `"int8"`;
                `None` means `float32`, in which runs are evaluated, and `auto` the precision of the saved weights. For
                an exported model, both mean the first precision that was exported.
            revision: branch, tag or commit on the Hub.
            token: the token for a private model on the Hub; `True` uses the one that `hf auth login` stored.
            cache_dir: the download folder, in place of the Hub's default cache.
            local_files_only: whether to use only downloaded files, without network access.
            trust_remote_code: whether code that was saved with the model may run. Read it before you trust it.
            verify: whether to replay the model's golden records first; see `nlp_inference.golden`.
            workers: how many batches run at the same time; see `Predictor`.
            token_budget: tokens of a batch, or `measured` to find a fast value on this machine; see `Predictor`.
            max_characters: the maximum length of a document; see `Predictor`.

        Warns:
            FingerprintWarning: a package or a transform has changed since the model was saved.
            PaddingWarning: the outputs of the model depend on padding, so its rows run one at a time.

        Raises:
            MissingExtraError: the backend is not installed.
            InvalidSpecError: there is no such backend, or it does not support this precision.
            ArtefactError: there is no such model, its download is incomplete, or it is not the model that the
                processor was saved with.
            UnknownTypeError: it uses a transform or a task that is not installed, and its code is not trusted.
            VerificationError: `verify` is set, and the result of a golden record differs from the recorded one.
        """
        as_saved = dtype == "auto"
        dtype = None if as_saved else dtype
        chosen = choose_backend(name_or_path, backend=backend, dtype=dtype)
        fetch = partial(
            artefact_folder,
            name_or_path,
            needed=MODEL_NEEDS,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        if dtype is None and runs_exports(chosen) and not Path(name_or_path).is_dir():
            settings = fetch(files=SETTINGS_FILES, revision=revision)
            dtype, revision = exported_on_hub(settings, backend=chosen), settings.name  # pin the other files to it
        dtype = choose_dtype(name_or_path, backend=chosen, dtype=dtype)
        folder = fetch(files=(*SETTINGS_FILES, *backend_files(chosen, dtype=dtype)), revision=revision)
        if as_saved and not runs_exports(chosen):
            dtype = saved_dtype(folder)
        processor = Processor.from_pretrained(folder, trust_remote_code=trust_remote_code)
        model = load_backend(
            chosen,
            folder,
            task=processor.task,
            device=device,
            dtype=dtype,
            fingerprint=processor.fingerprint,
            trust_remote_code=trust_remote_code,
        )
        predictor = cls(processor, model, workers=workers, token_budget=token_budget, max_characters=max_characters)
        warn_of_padding(model, source=str(name_or_path))
        if verify:
            bound("verify_loaded")(predictor, folder, name=name_or_path)
        return predictor

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is an Iterable of str, too
        self, items: Single, *, on_error: Literal["raise"] = "raise", heads: Heads = None
    ) -> Document: ...
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, items: Single, *, on_error: Literal["record"], heads: Heads = None
    ) -> Document | FailedDocument: ...
    @overload
    def predict(
        self, items: Iterable[Item], *, on_error: Literal["raise"] = "raise", heads: Heads = None
    ) -> list[Document]: ...
    @overload
    def predict(
        self, items: Iterable[Item], *, on_error: Literal["record"], heads: Heads = None
    ) -> list[Document | FailedDocument]: ...
    def predict(
        self, items: Single | Iterable[Item], *, on_error: Literal["raise", "record"] = "raise", heads: Heads = None
    ) -> Any:
        """Predict one text or Document, or several in order. Calling the predictor does the same.

        Args:
            items: a text, a Document, or a mapping such as `{"text": ..., "text_pair": ..., "id": ...}`, as
                `nlp-inference predict` reads them: other keys become metadata. Or a list of these; the id of a document
                without an id is its index.
            on_error: `raise` stops at a document that fails; `record` puts a `FailedDocument` in its place.
            heads: the names of the heads of a multi-task model to decode; `None` decodes all. The model runs once for
                all of them. Predictions of some heads only are not in the profile.

        Returns:
            One Document for a single text, Document or mapping; a list otherwise.

        Raises:
            PredictionError: a document failed and `on_error` is `raise`.
            InvalidInputError: `items` is of another type; also a `TypeError`.
            InvalidSpecError: `on_error` has another value, or there is no such head.

        Example:
            >>> predictor = Predictor.from_pretrained("org/model")  # doctest: +SKIP
            >>> predictor("Ana lives in Rome").predicted.spans  # doctest: +SKIP
            (Span(start=13, end=17, label='CITY', score=0.99),)
        """
        if isinstance(items, str | Mapping | Document):
            return next(self.stream([items], on_error=on_error, heads=heads))
        return list(self.stream(items, on_error=on_error, heads=heads))

    __call__ = predict

    @overload
    def stream(
        self, items: Iterable[Item], *, on_error: Literal["raise"] = "raise", skip: int = 0, heads: Heads = None
    ) -> Iterator[Document]: ...
    @overload
    def stream(
        self, items: Iterable[Item], *, on_error: Literal["record"], skip: int = 0, heads: Heads = None
    ) -> Iterator[Document | FailedDocument]: ...
    def stream(
        self,
        items: Iterable[Item],
        *,
        on_error: Literal["raise", "record"] = "raise",
        skip: int = 0,
        heads: Heads = None,
    ) -> Iterator[Any]:
        """Predict texts or Documents one after the other, in bounded memory; see `predict`.

        If the iterable of items raises an error, the items before it are predicted first. Up to 1,024 items or two
        million characters share batches; while these are decoded, the next ones are read and the model runs on them.

        Args:
            items: as for `predict`.
            on_error: as for `predict`.
            skip: the number of items at the start to skip because they were predicted before. Skipped items that share
                batches with later ones are predicted again, so every result is bitwise the same as without skipping.
            heads: as for `predict`.
        """
        if heads is not None:
            return self.with_heads(heads).stream(items, on_error=on_error, skip=skip)
        if isinstance(items, str | bytes | Mapping | Document):
            shown = shorten(repr(items), width=60)
            raise InvalidInputError(f"expected several texts, but got the single one {shown}; put it in a list")
        if not isinstance(items, Iterable):
            raise InvalidInputError(f"expected several texts, but got {shorten(repr(items), width=60)}; give a list")
        if on_error not in ("raise", "record"):
            raise InvalidSpecError(f"on_error is {on_error!r}; write 'raise' or 'record'")
        new = (chunk for chunk in look_ahead(items) if chunk.begin + len(chunk.items) > skip)
        begun = one_ahead(self._begin(chunk) for chunk in new)
        results = (result for chunk, running in begun for result in self._finish(running)[max(0, skip - chunk.begin) :])
        return (_settle(result, record=on_error == "record") for result in results)

    def close(self) -> None:
        """Stop the threads of the workers. The next prediction starts them again."""
        self.route.workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def profile(self) -> Profile:
        """Return counts over all predictions so far, to compare with those of training; see `nlp_inference.drift`.

        `predict` and `stream` accumulate the counts, which takes less than 2 % of their time.
        """
        return self.recorder.profile()

    def with_processor(self, processor: Processor, *, workers: int | None = None) -> Self:
        """Return another Predictor with the same backend and token budget, but its own profile and observers.

        Args:
            processor: the processor of the new Predictor.
            workers: as for `Predictor`; `None` means the same number as this one.
        """
        count = self.route.workers.count if workers is None else workers
        return type(self)(
            processor,
            self.backend,
            workers=count,
            token_budget=self.token_budget,
            max_characters=self.max_characters,
        )

    def with_heads(self, heads: Iterable[str]) -> Self:
        """Return another Predictor that decodes only some heads, with the same backend and workers.

        It has its own profile, because predictions without the other heads would look like drift.

        Raises:
            InvalidSpecError: the model has no heads, or not these.
        """
        processor, other, route = copy(self.processor), copy(self), copy(self.route)
        processor.task = processor.task.only(heads)
        route.processor = processor
        other.processor, other.route, other.recorder = processor, route, self.recorder.empty()
        return other

    def as_pipeline(self, *, head: str | None = None) -> "DocumentPipeline":
        """Return this Predictor with the call and return format of `transformers.pipeline`; see docs/library.md.

        Args:
            head: the head of a multi-task model whose predictions are returned.

        Raises:
            InvalidSpecError: there is no pipeline for the task, or the model has several heads and `head` names none.
        """
        pipeline: DocumentPipeline = bound("document_pipeline")(self, head=head)
        return pipeline

    def model_outputs(self, documents: Iterable[Document]) -> Iterator[DocumentOutputs]:
        """Run the model on documents and yield its outputs, which `Processor.interpret_outputs` decodes.

        Outputs use much memory, so read them one by one.

        Args:
            documents: the documents, batched as in `stream`.

        Raises:
            PredictionError: a document cannot be encoded, or the model fails on it.
        """
        for chunk in look_ahead(documents):
            started = [self.read(item, number=str(number)) for number, item in enumerate(chunk.items, chunk.begin)]
            for trace in self.route.run_model(started, token_budget=self.token_budget):
                if trace.model_outputs is None:
                    raise _failure(trace).error() from trace.failure
                yield trace.model_outputs

    def trace(self, items: Iterable[Item]) -> list[Trace]:
        """Return every stage of the prediction of each document, as `nlp_inference.golden` records and verifies it.

        The model runs on one window at a time, so a trace contains no padding and does not depend on other documents.

        Args:
            items: as for `predict`; the trace of a document that fails has the error.
        """
        traces = [self.read(item, number=str(number)) for number, item in enumerate(items)]
        return self.route.follow(traces, token_budget=1)

    def read(self, item: Item, *, number: str) -> Trace:
        """Return the trace of an item with its document, or with the error if it does not describe one.

        Args:
            item: as for `predict`.
            number: the id of an item without an id.
        """
        try:
            document = read_item(item, number=number, max_characters=self.max_characters)
            if self._pair_problem is not None and document.raw_text_pair is not None:
                raise InvalidDocumentError(f"document {document.id!r} has a text pair, but {self._pair_problem}")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a document must not affect its neighbors
            return Trace(item_name(item, number), failure=error)
        return Trace(str(document.id), document)

    def _begin(self, chunk: Chunk) -> tuple[Chunk, Begun]:
        started = [self.read(item, number=str(number)) for number, item in enumerate(chunk.items, chunk.begin)]
        return chunk, self.route.begin(started, token_budget=self.token_budget)

    def _finish(self, begun: Begun) -> list["Document | _Failure"]:
        traces = self.route.finish(begun)
        self.observe(traces)
        return [_outcome(trace) for trace in traces]

    def observe(self, traces: Sequence[Trace]) -> None:
        """Count completed traces in the profile, and pass them to the observers."""
        served = [(one.final, one.encoded) for one in traces if one.final is not None and one.encoded is not None]
        self.recorder.add(served)
        for observe in self.observers:
            observe(traces)


class _Failure(NamedTuple):
    """A document that failed, and its error."""

    id: str
    cause: Exception

    def record(self) -> FailedDocument:
        name, message = writable(self.id), writable(str(self.cause))
        return FailedDocument(id=name, error=type(self.cause).__name__, message=message)

    def error(self) -> PredictionError:
        return PredictionError(FailedDocument(id=self.id, error="", message=str(self.cause)).description())


def _settle(result: Document | _Failure, *, record: bool) -> Document | FailedDocument:
    if isinstance(result, Document):
        return result
    if record:
        return result.record()
    raise result.error() from result.cause


def _outcome(trace: Trace) -> "Document | _Failure":
    return trace.final if trace.final is not None else _failure(trace)


def _failure(trace: Trace) -> _Failure:
    return _Failure(trace.id, trace.failure or PredictionError("no prediction was made, and no error was reported"))
