"""The training set as a model reads it where documents are augmented: each epoch other windows, of the same count."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple, overload

import torch
from torch.utils.data import Dataset, RandomSampler, Sampler

from nlp_inference import Document, Processor
from nlp_inference.encoding.input_rows import Example
from nlp_training.augment.augmenter import Augmenter
from nlp_training.batches.streams import encode_stream
from nlp_training.batches.window_dataset import RowLengths, TrainingWindows, row_lengths


class Item(NamedTuple):
    """A window of a document as it is in an epoch; `window` is None where one window reads the whole document."""

    epoch: int
    document: int
    window: int | None


class AugmentedDocuments(Sequence[Document]):
    """The documents as they are in an epoch, each augmented when it is asked for; none is kept."""

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
    """The windows of an epoch before they are put in order: what a sampler asks of a data set."""

    documents: Sequence[Document]
    """As they arrived."""
    items: Sequence[Item]
    lengths: Sequence[int]
    """Tokens of each item."""

    def __len__(self) -> int:
        return len(self.items)

    def of_windows(self, values: Sequence[float]) -> list[float]:
        """What is said of each document, for each window."""
        return [values[item.document] for item in self.items]


class AugmentedWindows(Dataset[Document | Example]):
    """The windows of augmented documents, for any epoch: an item says of which.

    A text that grows or shrinks may need more or fewer windows, but a schedule of learning rates needs epochs of one
    length. So every epoch has as many items as the first: what a later one has too many is left out, and what it lacks
    is repeated, drawn by seed and epoch. Where one window reads every document, no epoch lacks or repeats anything.

    Args:
        documents: with gold, as they arrived.
        processor: encodes the documents.
        augmenter: changes them.
        sample_weight: as for `TrainingWindows`.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        processor: Processor,
        augmenter: Augmenter,
        *,
        sample_weight: str | None = None,
    ) -> None:
        self.documents = documents
        self.processor = processor
        self.augmenter = augmenter
        self.sample_weight = sample_weight
        self._epoch = 0
        self._windows = self._windows_of(0)
        self._planned = (0, self._all_items(0))
        self._count = len(self._planned[1].items)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, item: Item) -> Document | Example:
        epoch, document, window = item
        if epoch != self._epoch:  # a worker process learns of a new epoch here
            self._epoch, self._windows = epoch, self._windows_of(epoch)
        if window is None:
            return self._windows.documents[document]
        return self._windows.window(document, window)

    def plan(self, epoch: int) -> EpochPlan:
        """The windows of an epoch, in the order of the documents, which are read through for it."""
        if self._planned[0] != epoch:
            whole = self._all_items(epoch)
            rng = Random(f"{self.augmenter.seed}:{epoch}:windows")
            chosen = _fit(len(whole.items), self._count, rng)
            lengths = [whole.lengths[index] for index in chosen]
            self._planned = (epoch, EpochPlan(self.documents, [whole.items[index] for index in chosen], lengths))
        return self._planned[1]

    def _all_items(self, epoch: int) -> EpochPlan:
        items: list[Item] = []
        lengths: list[int] = []
        documents = AugmentedDocuments(self.documents, self.augmenter, epoch=epoch)
        for position, encoded in enumerate(encode_stream(self.processor, documents)):
            of_rows = row_lengths(encoded)
            lengths.extend(of_rows)
            items += [Item(epoch, position, None if len(of_rows) == 1 else window) for window in range(len(of_rows))]
        return EpochPlan(self.documents, items, lengths)

    def _windows_of(self, epoch: int) -> TrainingWindows:
        """What keeps the long documents of an epoch encoded; it is asked for windows by document, not by number."""
        documents = AugmentedDocuments(self.documents, self.augmenter, epoch=epoch)
        return TrainingWindows(documents, self.processor, (), sample_weight=self.sample_weight)


class AugmentedEpochs(Sampler[Item]):
    """The items of the epoch that begins, in an order that only the augmenter's seed and the epoch decide.

    Args:
        windows: what there is to train.
        sampler: for the plan of an epoch, the sampler of its order; a random one is replaced by one with that seed.
        epoch: says which epoch begins, counted from 0.
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
    sample_weight: str | None = None,
) -> TrainingWindows | AugmentedWindows:
    """What there is to train: windows of the documents as they arrived, or as the augmenter changes them.

    Args:
        documents: with gold.
        processor: encodes the documents.
        known_lengths: documents, and the lengths of their rows; not used for other documents than these.
        augmenter: changes the documents in each epoch.
        sample_weight: as for `TrainingWindows`.
    """
    if augmenter is not None:
        return AugmentedWindows(documents, processor, augmenter, sample_weight=sample_weight)
    known, lengths = known_lengths
    if known is not documents or len(lengths) != len(documents):
        lengths = [row_lengths(encoded) for encoded in encode_stream(processor, documents)]
    return TrainingWindows(documents, processor, lengths, sample_weight=sample_weight)


def _fit(count: int, wanted: int, rng: Random) -> list[int]:
    """Numbers below `count`, `wanted` of them, in order: each once, as far as that goes."""
    if count >= wanted:
        return sorted(rng.sample(range(count), wanted))
    return sorted([*range(count), *rng.choices(range(count), k=wanted - count)])
