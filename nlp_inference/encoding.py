"""What a Document is to a model: tokens with their places in the current text, cut into windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        windows: the stretches of tokens that the model reads together.
    """

    document: Document
    token_ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    word_starts: NDArray[np.int64]
    pair_ids: NDArray[np.int64] | None
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
        """What the model reads of the raw text."""
        document = self.document
        aligned = document.aligned
        unread = tuple(aligned.to_raw(start, end) for start, end in self._unread_stretches())
        return Coverage(
            characters=len(document.raw_text), windows=len(self.windows), truncated=self.truncated, unread=unread
        )

    def _unread_stretches(self) -> list[tuple[int, int]]:
        """Stretches of the current text that no token covers and that are more than white space."""
        text = self.document.text
        read = self.offsets[: self.tokens_read]
        starts = np.append(read[:, 0], len(text))
        ends = np.concatenate(([0], np.maximum.accumulate(read[:, 1])))
        gaps = np.flatnonzero(starts > ends)
        return [
            (start, end)
            for start, end in zip(ends[gaps].tolist(), starts[gaps].tolist(), strict=True)
            if not text[start:end].isspace()
        ]
