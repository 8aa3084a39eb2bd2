"""Construction of input rows: special tokens around the content of a window and around the text pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nlp_inference.encoding.tokenization import plain_backend
from nlp_inference.errors import InvalidSpecError

IGNORED = -100
"""The label id that losses ignore, as in PyTorch and transformers."""

_NO_LIMIT = 1_000_000
"""Above it, `model_max_length` means that the tokenizer has no limit."""

Ids = NDArray[np.int64]


class Row(NamedTuple):
    """One input row of a model: ids and types `[tokens]`, and the slice with the content of the window.

    `given` contains what the document supplies in addition to the text and `Task.condense` reads; see `Task.given_in`.
    """

    input_ids: Ids
    token_type_ids: Ids
    content: slice  # of `input_ids`
    given: NDArray[np.int64] | None = None


class Example(NamedTuple):
    """One window of a document as model input: its input row and, for training, its targets."""

    row: Row
    targets: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """Special tokens before, between and after the texts, and the type of each token.

    Attributes:
        special: the special tokens before each text, and those after the last one.
        special_types: their types.
        text_types: the type of the tokens of each text.
        size: the number of special tokens.
        has_types: whether any type differs from 0.
    """

    special: tuple[Ids, ...]
    special_types: tuple[Ids, ...]
    text_types: tuple[int, ...]
    size: int
    has_types: bool

    def build(self, texts: Sequence[Ids]) -> tuple[Ids, Ids]:
        between = zip(texts, self.special[1:], strict=True)
        ids = np.concatenate([self.special[0], *chain.from_iterable(between)])
        if not self.has_types:
            return ids, np.zeros(len(ids), dtype=np.int64)
        types = [self.special_types[0]]
        for text, kind, after in zip(texts, self.text_types, self.special_types[1:], strict=True):
            types += [np.full(len(text), kind), after]
        return ids, np.concatenate(types)


class InputLayout:
    """The layout of the input rows of one tokenizer.

    The special tokens are taken from a short text that the tokenizer encodes, so that they are those that its model was
    trained with, for every model family.

    Args:
        tokenizer: a fast tokenizer with a padding token.
        max_length: the maximum number of tokens in a row; `None` uses the limit of the tokenizer.
        pair_position: whether the text pair is the first or the second of the two texts.

    Raises:
        InvalidSpecError: there is no padding token, a special token is not in the vocabulary, or neither the tokenizer
            nor `max_length` limits a row.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int | None,
        pair_position: Literal["first", "second"],
    ) -> None:
        if tokenizer.pad_token_id is None:
            raise InvalidSpecError(
                f"{type(tokenizer).__name__} has no padding token; set tokenizer.pad_token, for example to "
                "tokenizer.eos_token, or processor.pad_token in the configuration of a run"
            )
        _check_special_tokens(tokenizer)
        limit = tokenizer.model_max_length if tokenizer.model_max_length > 0 else 10**30  # 0 and -1 state nothing
        if max_length is None and limit > _NO_LIMIT:
            raise InvalidSpecError(
                "the tokenizer does not specify the maximum length of its model; set windows.max_length"
            )
        if max_length is not None and max_length > limit:
            raise InvalidSpecError(f"windows.max_length is {max_length}, expected at most {limit}, the model's limit")
        self.max_length: int = max_length or limit
        self.pad_token_id: int = tokenizer.pad_token_id
        self.pair_position = pair_position
        self.input_names = tuple(tokenizer.model_input_names)
        self._single = _probe(tokenizer, ("a",))
        self._pair = _probe(tokenizer, ("a", "b"))

    @property
    def pair_token_types(self) -> int:
        """The number of token types in the rows of text pairs; 0 if the rows have none."""
        if "token_type_ids" not in self.input_names:
            return 0
        return 1 + int(max(0, *self._pair.text_types, *chain.from_iterable(self._pair.special_types)))

    def capacity(self, pair_length: int | None, *, prefix_length: int = 0) -> int:
        """Return the tokens that remain for a window after special tokens, text pair and prefix of these lengths."""
        if pair_length is None:
            return self.max_length - self._single.size - prefix_length
        return self.max_length - self._pair.size - pair_length - prefix_length

    def row(self, content: Ids, pair: Ids | None, *, prefix: Ids | None = None, is_swapped: bool = False) -> Row:
        """Return the input row of a window's content, after a prefix, and of the text pair if there is one.

        If `is_swapped`, the text pair is in the other position than `pair_position`.

        An empty text of a tokenizer without special tokens becomes one padding token, because models cannot read an
        empty row.
        """
        if prefix is not None and len(prefix):
            row = self.row(np.concatenate([prefix, content]), pair, is_swapped=is_swapped)
            return row._replace(content=slice(row.content.start + len(prefix), row.content.stop))
        if pair is None and not len(content) and not self._single.size:
            return Row(np.array([self.pad_token_id]), np.zeros(1, dtype=np.int64), slice(0, 0))
        if pair is None:
            ids, types = self._single.build([content])
            start = len(self._single.special[0])
        elif (self.pair_position == "second") != is_swapped:
            ids, types = self._pair.build([content, pair])
            start = len(self._pair.special[0])
        else:
            ids, types = self._pair.build([pair, content])
            start = len(self._pair.special[0]) + len(pair) + len(self._pair.special[1])
        return Row(ids, types, slice(start, start + len(content)))

    def pad(self, rows: Sequence[Row]) -> dict[str, Ids]:
        """Stack rows into arrays `[rows, tokens]`, padded on the right to the longest."""
        lengths = [len(row.input_ids) for row in rows]
        shape = (len(rows), max(lengths, default=0))
        batch = {"input_ids": np.full(shape, self.pad_token_id, dtype=np.int64)}
        batch["attention_mask"] = np.zeros(shape, dtype=np.int64)
        if "token_type_ids" in self.input_names:
            batch["token_type_ids"] = np.zeros(shape, dtype=np.int64)
        for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            batch["input_ids"][index, :length] = row.input_ids
            batch["attention_mask"][index, :length] = 1
            if "token_type_ids" in batch:
                batch["token_type_ids"][index, :length] = row.token_type_ids
        return batch


def pad_targets(targets: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Stack the target arrays of rows by name; where shapes differ, the smaller ones are padded.

    Integers are padded with `IGNORED`. Floats are padded with NaN, since -100 may be a target of a regression. A row
    without an array that other rows have, because it has no gold for it, gets padding only.

    Example:
        >>> pad_targets([{"labels": np.array([1, 2])}, {"labels": np.array([3])}])["labels"].tolist()
        [[1, 2], [3, -100]]
    """
    batch: dict[str, NDArray[Any]] = {}
    for name in dict.fromkeys(name for target in targets for name in target):
        values = {index: target[name] for index, target in enumerate(targets) if name in target}
        shape = tuple(map(max, zip(*(value.shape for value in values.values()), strict=True)))
        dtype = next(iter(values.values())).dtype
        fill = np.nan if np.issubdtype(dtype, np.floating) else IGNORED
        batch[name] = np.full((len(targets), *shape), fill, dtype=dtype)
        for index, value in values.items():
            position: tuple[int | slice, ...] = (index, *map(slice, value.shape))
            batch[name][position] = value
    return batch


def _check_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that special tokens are in the vocabulary; loading a saved tokenizer would add them with new ids."""
    id_of = plain_backend(tokenizer).token_to_id
    unknown = [f"{name} {token!r}" for name, token in tokenizer.special_tokens_map.items() if id_of(token) is None]
    if unknown:
        raise InvalidSpecError(
            f"{', '.join(unknown)} of the tokenizer is not in its vocabulary, so a saved model would have tokens that "
            "its embeddings lack; choose a token of the vocabulary, or add it: tokenizer.add_special_tokens, and "
            "resize the embeddings of the model"
        )


def _probe(tokenizer: PreTrainedTokenizerBase, texts: tuple[str, ...]) -> _Frame:
    """Encode short texts and return the special tokens around them."""
    encoding = plain_backend(tokenizer).encode(*texts, add_special_tokens=True)
    special: list[list[int]] = [[]]
    special_types: list[list[int]] = [[]]
    text_types: list[int] = []
    previous = None
    for token, kind, sequence in zip(encoding.ids, encoding.type_ids, encoding.sequence_ids, strict=True):
        if sequence is None:
            special[-1].append(token)
            special_types[-1].append(kind)
        elif sequence != previous:
            text_types.append(kind)
            special.append([])
            special_types.append([])
        previous = sequence if sequence is not None else previous
    ids, types = (tuple(np.array(part, dtype=np.int64) for part in parts) for parts in (special, special_types))
    has_types = any(text_types) or any(map(any, special_types))
    return _Frame(ids, types, tuple(text_types), sum(map(len, ids)), has_types)
