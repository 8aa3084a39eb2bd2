"""Tokens and words of format version 1, kept because older models were trained and recorded with them.

A token ends before the combining marks that the tokenizer strips, words are those of the tokenizer, and `whitespace`
keeps only the words that follow white space.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference.encoding.words import WordRule


def offsets_of(text: str, encoding: Any) -> NDArray[np.int64]:
    """Return `[tokens, 2]`, the start and end of each token without white space at its edges."""
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    for index, (start, end) in enumerate(offsets.tolist()):
        if start < end and (text[start].isspace() or text[end - 1].isspace()):
            surface = text[start:end]
            first = start + len(surface) - len(surface.lstrip())
            offsets[index] = first, first + len(surface.strip())
    return offsets


def word_starts_of(offsets: NDArray[np.int64], encoding: Any) -> NDArray[np.int64]:
    """Return `[words]`, the first token of each word of the tokenizer that is not empty."""
    words = np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)
    filled = np.flatnonzero(offsets[:, 0] < offsets[:, 1])
    words = words[filled]
    begins = np.ones(len(words), dtype=bool)
    begins[1:] = (words[1:] != words[:-1]) | (words[1:] < 0)
    starts: NDArray[np.int64] = filled[begins]
    return starts


def unit_starts_of(
    text: str, offsets: NDArray[np.int64], word_starts: NDArray[np.int64], rule: WordRule
) -> NDArray[np.int64]:
    """Return `[units]`, the first token of each unit."""
    if rule != "whitespace":
        return word_starts
    after_space = [start == 0 or text[start - 1].isspace() for start in offsets[word_starts, 0].tolist()]
    found: NDArray[np.int64] = word_starts[np.array(after_space, dtype=bool)]
    return found
