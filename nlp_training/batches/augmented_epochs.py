"""Training windows of augmented documents: other windows in each epoch, but the same number."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple, overload

import torch
from torch.utils.data import Dataset, RandomSampler, Sampler

from nlp_inference import Document, Processor
from nlp_inference.encoding.input_rows import Example
from nlp_training.augment.augmenter import Augmenter
from nlp_training.batches.sample_weights import RowWeights
from nlp_training.batches.streams import encode_stream
from nlp_training.batches.window_dataset import RowLengths, TrainingWindows, row_lengths, sampled


class Item(NamedTuple):
    """A window of a document in an epoch; `window` is None if one window contains the complete document."""

    epoch: int
    document: int
    window: int | None


class AugmentedDocuments(Sequence[Document]):
    """The documents of an epoch, augmented on access and not kept."""

    def __init__(self, documents: Sequence[Document], augmenter: Augmenter, *, epoch: int) -> None:
        self.documents = documents
        self.augmenter = augmenter
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.documents)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> "AugmentedDocuments": ...
    def __getitem__(self, index: int | slice) -> "Document | AugmentedDocuments":
        if isinstance(index, slice):
            return AugmentedDocuments(self.documents[index], self.augmenter, epoch=self.epoch)
        return self.augmenter(self.documents[index], epoch=self.epoch).document


class EpochPlan(NamedTuple):
    """The windows of an epoch before they are ordered: the interface between a data set and a sampler."""

    documents: Sequence[Document]
    """The documents as they arrived."""
    items: Sequence[Item]
    lengths: Sequence[int]
    """Tokens of each item."""

    def __len__(self) -> int:
        return len(self.items)

    def of_windows(self, values: Sequence[float]) -> list[float]:
        """Return for each window the value of its document."""
        return [values[item.document] for item in self.items]


class AugmentedWindows(Dataset[Document | Example]):
    """The windows of augmented documents; an item specifies the epoch.

    A text that grows or shrinks may need more or fewer windows, but a learning rate schedule needs epochs of equal
    length. Every epoch therefore has as many items as the first: surplus items are omitted, and missing ones are filled
    by repetition, drawn by seed and epoch. If every document fits in one window, no item is omitted or repeated.

    Args:
        documents: documents with gold, as they arrived.
        processor: the processor that encodes the documents.
        augmenter: the augmenter that changes the documents.
        weights: as for `TrainingWindows`.
        per_document: as for `TrainingWindows`.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        processor: Processor,
        augmenter: Augmenter,
        *,
        weights: RowWeights = RowWeights(),  # noqa: B008 - immutable
        per_document: int | None = None,
    ) -> None:
        self.documents = documents
        self.processor = processor
        self.augmenter = augmenter
        self.weights = weights
        self.per_document = per_document
        self._epoch = 0
        self._windows = self._windows_of(0)
        self._planned = (0, self._all_items(0))
        self._count = len(self._planned[1].items)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, item: Item) -> Document | Example:
        epoch, document, window = item
        if epoch != self._epoch:  # worker processes have no other notice of a new epoch
            self._epoch, self._windows = epoch, self._windows_of(epoch)
        if window is None:
            return self._windows.documents[document]
        return self._windows.window(document, window)

    def plan(self, epoch: int) -> EpochPlan:
        """Return the windows of an epoch, in the order of the documents; this encodes all documents."""
        if self._planned[0] != epoch:
            available = self._all_items(epoch)
            rng = Random(f"{self.augmenter.seed}:{epoch}:windows")
            chosen = _fit(len(available.items), self._count, rng)
            lengths = [available.lengths[index] for index in chosen]
            self._planned = (epoch, EpochPlan(self.documents, [available.items[index] for index in chosen], lengths))
        return self._planned[1]

    def _all_items(self, epoch: int) -> EpochPlan:
        items: list[Item] = []
        lengths: list[int] = []
        documents = AugmentedDocuments(self.documents, self.augmenter, epoch=epoch)
        generator = torch.Generator().manual_seed(self.augmenter.seed + epoch)
        for position, encoded in enumerate(encode_stream(self.processor, documents)):
            of_rows = row_lengths(encoded)
            chosen = sampled(range(len(of_rows)), self.per_document or len(of_rows), generator)
            lengths.extend(of_rows[window] for window in chosen)
            items += [Item(epoch, position, None if len(of_rows) == 1 else window) for window in chosen]
        return EpochPlan(self.documents, items, lengths)

    def _windows_of(self, epoch: int) -> TrainingWindows:
        """Return a cache of the encoded documents of an epoch, for access by document and window."""
        documents = AugmentedDocuments(self.documents, self.augmenter, epoch=epoch)
        return TrainingWindows(documents, self.processor, (), weights=self.weights, per_document=self.per_document)


class AugmentedEpochs(Sampler[Item]):
    """The items of the next epoch, in an order that depends only on the augmenter's seed and the epoch.

    Args:
        windows: the training windows.
        sampler: returns the sampler for the plan of an epoch; a random sampler is replaced by one with that seed.
        epoch: returns the epoch that starts, counted from 0.
    """

    def __init__(
        self,
        windows: AugmentedWindows,
        sampler: Callable[[EpochPlan], Iterable[int] | None],
        *,
        epoch: Callable[[], int],
    ) -> None:
        self.windows = windows
        self.sampler = sampler
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[Item]:
        epoch = self.epoch()
        plan = self.windows.plan(epoch)
        order = self.sampler(plan)
        if order is None or isinstance(order, RandomSampler):
            generator = torch.Generator().manual_seed(self.windows.augmenter.seed + epoch)
            order = torch.randperm(len(plan), generator=generator).tolist()
        return iter([plan.items[index] for index in order])


def training_windows(
    documents: Sequence[Document],
    processor: Processor,
    *,
    known_lengths: tuple[Sequence[Document], Sequence[RowLengths]] = ((), ()),
    augmenter: Augmenter | None = None,
    weights: RowWeights = RowWeights(),  # noqa: B008 - immutable
    per_document: int | None = None,
) -> TrainingWindows | AugmentedWindows:
    """Return the training windows of documents, augmented if there is an augmenter.

    Args:
        documents: documents with gold.
        processor: the processor that encodes the documents.
        known_lengths: documents and the lengths of their rows; ignored for other documents.
        augmenter: the augmenter that changes the documents in each epoch.
        weights: as for `TrainingWindows`.
        per_document: as for `TrainingWindows`.
    """
    if augmenter is not None:
        return AugmentedWindows(documents, processor, augmenter, weights=weights, per_document=per_document)
    known, lengths = known_lengths
    if known is not documents or len(lengths) != len(documents):
        lengths = [row_lengths(encoded) for encoded in encode_stream(processor, documents)]
    return TrainingWindows(documents, processor, lengths, weights=weights, per_document=per_document)


def _fit(count: int, wanted: int, rng: Random) -> list[int]:
    """Return `wanted` sorted numbers below `count`, each at most once if `count` is large enough."""
    if count >= wanted:
        return sorted(rng.sample(range(count), wanted))
    return sorted([*range(count), *rng.choices(range(count), k=wanted - count)])
