"""What a Document is to a model: tokens with their places in the current text, cut into windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlp_inference.aligned_text import AlignedText, Range
from nlp_inference.deletions import deleted_ranges, imprecise_ranges, merge_ranges
from nlp_inference.document import Coverage, Document
from nlp_inference.windowing import Window


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDocument:
    """A preprocessed Document, its tokens and its windows.

    Attributes:
        document: the Document after preprocessing.
        token_ids: `[tokens]`, vocabulary ids without special tokens.
        offsets: `[tokens, 2]`, start and end of each token in code points of `document.text`.
        word_starts: `[words]`, positions of the tokens that begin a word.
        pair_ids: `[pair_tokens]`, the second text's tokens, which every window repeats; `None` if there is none.
        pair_offsets: `[pair_tokens, 2]`, where they stand in `document.text_pair`.
        windows: the stretches of tokens that the model reads together.
    """

    document: Document
    token_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    word_starts: NDArray[np.int64]
    pair_ids: NDArray[np.int64] | None
    pair_offsets: NDArray[np.int64] | None
    windows: tuple[Window, ...]

    @property
    def tokens_read(self) -> int:
        """How many tokens the windows cover; fewer than there are if the text was truncated."""
        return self.windows[-1].end

    @property
    def truncated(self) -> bool:
        """Whether reading stops before the last token."""
        return self.tokens_read < len(self.token_ids)

    def coverage(self) -> Coverage:
        """What the model reads of the raw texts."""
        document = self.document
        unread = _unread(document.aligned, self.offsets[: self.tokens_read])
        unread_pair = () if self.pair_offsets is None else _unread(document.aligned_pair, self.pair_offsets)
        deleted = deleted_ranges(document.aligned)
        deleted_pair = () if document.raw_text_pair is None else deleted_ranges(document.aligned_pair)
        characters = len(document.raw_text) + len(document.raw_text_pair or "")
        return Coverage(
            characters=characters,
            read=characters - _characters_in(unread, deleted) - _characters_in(unread_pair, deleted_pair),
            windows=len(self.windows),
            truncated=self.truncated,
            unread=unread,
            unread_pair=unread_pair,
            deleted=deleted,
            deleted_pair=deleted_pair,
            imprecise=imprecise_ranges(document.aligned),
        )


def _characters_in(*kinds: tuple[Range, ...]) -> int:
    """Count the characters in ranges of any kind, each once."""
    ranges = [one for kind in kinds for one in kind]
    return sum([end - start for start, end in merge_ranges(ranges)]) if ranges else 0


def _unread(aligned: AlignedText, offsets: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Raw stretches, in order and apart, of what no token covers and that is more than white space."""
    text = aligned.current
    starts = np.append(offsets[:, 0], len(text))
    ends = np.concatenate(([0], np.maximum.accumulate(offsets[:, 1])))
    gaps = np.flatnonzero(starts > ends)
    found: list[tuple[int, int]] = []
    for start, end in zip(ends[gaps].tolist(), starts[gaps].tolist(), strict=True):
        if not text[start:end].isspace():
            raw_start, raw_end = aligned.alignment.to_raw(start, end)
            if found and raw_start < found[-1][1]:  # both are what an edit made of one stretch
                found[-1] = (found[-1][0], max(found[-1][1], raw_end))
            elif raw_start < raw_end:  # else an edit inserted it
                found.append((raw_start, raw_end))
    return tuple(found)
