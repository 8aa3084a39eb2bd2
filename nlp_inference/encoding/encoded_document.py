"""A Document as a model reads it: tokens with their offsets in the current text, split into windows."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nlp_inference.document import Coverage, Document
from nlp_inference.document.aligned_text import AlignedText
from nlp_inference.document.deletions import deleted_ranges, imprecise_ranges, merge_ranges
from nlp_inference.encoding.dropped_letters import dropped_ranges
from nlp_inference.encoding.pair_windows import PairWindow
from nlp_inference.encoding.windows import Window
from nlp_inference.encoding.words import Words

Ranges = tuple[tuple[int, int], ...]
"""Start and end of each range, in order."""

_NOT_BLANK = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDocument:
    """A preprocessed Document, its tokens and its windows.

    Attributes:
        document: the Document after preprocessing.
        token_ids: `[tokens]`, vocabulary ids without special tokens.
        offsets: `[tokens, 2]`, start and end of each token in code points of `document.text`.
        word_starts: `[words]`, positions of the tokens at which a window may start or end.
        words: the words of the current text, by the rule of the task.
        pair_ids: `[pair_tokens]`, the tokens of the text pair, which every window repeats; `None` without a text pair.
        pair_offsets: `[pair_tokens, 2]`, their offsets in `document.text_pair`.
        windows: the ranges of tokens that the model reads together.
        unknown_id: the id of the token for text that the vocabulary cannot express; `None` if there is none.
        pair_windows: for each window, the part of the text pair in its input row; `None` if every row contains the
            complete text pair, in the position that the task gives it.
        complete_characters: whether spans of the raw text start and end with grapheme clusters, even if an edit removed
            a combining mark; false for artefacts of format version 1.
        prefix_ids: `[prefix_tokens]`, the tokens of `Task.text_prefix`, which every window repeats before its content.
        tokenizer: the tokenizer of the processor.
        complete: whether the tokens of the text are known to cover all of its characters but white space, and the
            tokenizer to delete no letter.
    """

    document: Document
    token_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    word_starts: NDArray[np.int64]
    words: Words
    pair_ids: NDArray[np.int64] | None
    pair_offsets: NDArray[np.int64] | None
    windows: tuple[Window, ...]
    unknown_id: int | None = None
    complete_characters: bool = True
    prefix_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    tokenizer: PreTrainedTokenizerBase | None = None
    pair_windows: tuple[PairWindow, ...] | None = None
    complete: bool = False

    @property
    def tokens_read(self) -> int:
        """The number of tokens that the windows cover, less than `len(token_ids)` if the text was truncated."""
        return self.windows[-1].end

    @property
    def pair_tokens_read(self) -> int:
        """The number of tokens of the text pair that the windows cover."""
        if self.pair_windows is not None:
            return self.pair_windows[-1].end
        return 0 if self.pair_ids is None else len(self.pair_ids)

    @property
    def truncated(self) -> bool:
        """Whether the windows end before the last token of the text or of the text pair."""
        pair = 0 if self.pair_ids is None else len(self.pair_ids)
        return self.tokens_read < len(self.token_ids) or self.pair_tokens_read < pair

    def row_lengths(self) -> tuple[int, ...]:
        """Return the number of tokens of each input row, without special tokens."""
        if self.pair_windows is None:
            return tuple(window.end - window.start + self.pair_tokens_read for window in self.windows)
        both = zip(self.windows, self.pair_windows, strict=True)
        return tuple(window.end - window.start + pair.end - pair.start for window, pair in both)

    def coverage(self) -> Coverage:
        """Return what the model reads of the raw texts."""
        document = self.document
        deleted = deleted_ranges(document.aligned)
        deleted_pair = () if document.raw_text_pair is None else deleted_ranges(document.aligned_pair)
        unknown, unknown_pair = self._unknown()
        tokens = self.tokens_read
        is_complete = self.complete and tokens == len(self.token_ids)
        unread = () if is_complete else self._unread(document.aligned, self.offsets[:tokens], unknown)
        unread_pair = (
            ()
            if self.pair_offsets is None
            else self._unread(document.aligned_pair, self.pair_offsets[: self.pair_tokens_read], unknown_pair)
        )
        characters = len(document.raw_text) + len(document.raw_text_pair or "")
        not_read = _characters_in(unread, deleted, unknown) + _characters_in(unread_pair, deleted_pair, unknown_pair)
        return Coverage(
            characters=characters,
            read=characters - not_read,
            windows=len(self.windows),
            truncated=self.truncated,
            unread=unread,
            unread_pair=unread_pair,
            deleted=deleted,
            deleted_pair=deleted_pair,
            unknown=unknown,
            unknown_pair=unknown_pair,
            imprecise=imprecise_ranges(document.aligned),
        )

    def _unread(self, aligned: AlignedText, offsets: NDArray[np.int64], unknown: Ranges) -> Ranges:
        """Return the raw ranges that no token covers, and those that the tokenizer deletes inside of a known token."""
        unread = _unread(aligned, offsets)
        if self.tokenizer is None or not self.complete_characters:
            return unread
        dropped = [aligned.to_raw(*one) for one in dropped_ranges(self.tokenizer, aligned.current)]
        dropped = [one for one in dropped if not _is_inside(one, unknown)]
        return tuple(merge_ranges([*unread, *dropped])) if dropped else unread

    def _unknown(self) -> tuple[Ranges, Ranges]:
        """Return the raw ranges of unknown tokens, in the text and in the text pair."""
        if self.unknown_id is None:
            return (), ()
        read = self.token_ids[: self.tokens_read]
        unknown = _unknown(self.document.aligned, self.offsets[: len(read)][read == self.unknown_id])
        if self.pair_ids is None or self.pair_offsets is None:
            return unknown, ()
        read_pair = self.pair_ids[: self.pair_tokens_read]
        of_pair = self.pair_offsets[: len(read_pair)][read_pair == self.unknown_id]
        return unknown, _unknown(self.document.aligned_pair, of_pair)


def _is_inside(one: tuple[int, int], ranges: Ranges) -> bool:
    """Return whether a range is inside one of `ranges`, which are sorted and disjoint."""
    index = bisect_right(ranges, one[0], key=itemgetter(0)) - 1
    return index >= 0 and one[1] <= ranges[index][1]


def _unknown(aligned: AlignedText, offsets: NDArray[np.int64]) -> Ranges:
    """Return the raw ranges that the tokens at `offsets` cover, white space excluded, sorted and disjoint."""
    if not len(offsets):
        return ()
    found: list[tuple[int, int]] = []
    for token_start, token_end in offsets.tolist():
        for match in _NOT_BLANK.finditer(aligned.current, token_start, token_end):
            start, end = aligned.to_raw(*match.span())
            if found and start <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], end))
            else:
                found.append((start, end))
    return tuple(found)


def _characters_in(*kinds: Ranges) -> int:
    """Count the characters that are in any of the ranges, each once."""
    ranges = [one for kind in kinds for one in kind]
    return sum([end - start for start, end in merge_ranges(ranges)]) if ranges else 0


def _unread(aligned: AlignedText, offsets: NDArray[np.int64]) -> Ranges:
    """Return the raw ranges that no token covers, except white space, sorted and disjoint."""
    text = aligned.current
    starts = np.append(offsets[:, 0], len(text))
    ends = np.concatenate(([0], np.maximum.accumulate(offsets[:, 1])))
    gaps = np.flatnonzero(starts > ends)
    found: list[tuple[int, int]] = []
    for start, end in zip(ends[gaps].tolist(), starts[gaps].tolist(), strict=True):
        if not text[start:end].isspace():
            raw_start, raw_end = aligned.alignment.to_raw(start, end)
            if found and raw_start < found[-1][1]:  # one edit produced both gaps
                found[-1] = (found[-1][0], max(found[-1][1], raw_end))
            elif raw_start < raw_end:  # empty if an edit inserted the gap
                found.append((raw_start, raw_end))
    return tuple(found)
