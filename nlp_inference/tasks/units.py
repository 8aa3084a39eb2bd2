"""The units of a document: the words (or tokens) that one tag, or one edge of a span, stands for."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document import Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import DELETED, EDGE_CHANGED, UNREAD

Words = Literal["tokenizer", "whitespace"]
"""What a word is: what the tokenizer says, or what stands between white space."""

UnitRange = tuple[int, int]
"""First unit, and unit after the last one."""


class Units(NamedTuple):
    """The units of a document that were read.

    Attributes:
        tokens: `[units]`, position of the first token of each unit.
        starts: `[units]`, where its first character stands in the current text.
        ends: `[units]`, where its last character ends.
        kind: what each of them is.
    """

    tokens: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kind: Literal["word", "token"]

    def touched_by(self, encoded: EncodedDocument, span: Span, *, free: int = 0) -> UnitRange | None:
        """The units that a raw span touches, from the unit `free` on; `None` if there are none."""
        start, end = encoded.document.aligned.to_current(span.start, span.end)
        first = max(free, int(np.searchsorted(self.ends, start, side="right")))
        after = int(np.searchsorted(self.starts, end, side="left"))
        return (first, after) if start < end and first < after else None


def read_units(encoded: EncodedDocument, *, are_tokens: bool, words: Words) -> Units:
    """The units of what the windows of a document read.

    Args:
        encoded: the document.
        are_tokens: whether a token is one, and not a word.
        words: what a word is.
    """
    tokens = _first_tokens(encoded, are_tokens=are_tokens, words=words)
    read = encoded.offsets[: encoded.tokens_read]
    ends = np.where(read[:, 0] < read[:, 1], read[:, 1], 0)
    ends = np.maximum.reduceat(ends, tokens) if len(tokens) else tokens
    return Units(tokens, read[tokens, 0], ends, "token" if are_tokens else "word")


def known_gold(encoded: EncodedDocument, labels: tuple[str, ...]) -> list[Span]:
    """The gold spans of a document, in order.

    Raises:
        InvalidDocumentError: it has no gold, or gold of a label that is not among `labels`.
    """
    document = encoded.document
    if document.gold is None:
        raise InvalidDocumentError(f"document {document.id!r} has no gold annotation to learn from")
    spans = sorted(document.gold.spans, key=lambda span: (span.start, span.end))
    for span in spans:
        if span.label not in labels:
            raise InvalidDocumentError(
                f"document {document.id!r}: gold label {span.label!r} is not among the labels {labels!r}"
            )
    return spans


def why_lost(encoded: EncodedDocument, units: Units, span: Span, touched: UnitRange | None) -> str | None:
    """Why a gold span cannot come back from the units that it touches; `None` if nothing is in its way."""
    aligned = encoded.document.aligned
    start, end = aligned.to_current(span.start, span.end)
    if start == end:
        return DELETED
    if touched is None:
        return "beyond the window that is read" if encoded.truncated else UNREAD
    if aligned.to_raw(start, end) != (span.start, span.end):
        return EDGE_CHANGED
    if aligned.current[start:end] != aligned.current[start:end].strip():
        return "white space at its edge"
    if (units.starts[touched[0]], units.ends[touched[1] - 1]) != (start, end):
        return f"its edge lies inside a {units.kind}"
    return None


def _first_tokens(encoded: EncodedDocument, *, are_tokens: bool, words: Words) -> NDArray[np.int64]:
    """`[units]`: position of the first token of each unit that was read; an empty token is none."""
    if not are_tokens:
        starts = encoded.word_starts[: np.searchsorted(encoded.word_starts, encoded.tokens_read)]
        return starts if words == "tokenizer" else starts[_after_white_space(encoded, starts)]
    read = encoded.offsets[: encoded.tokens_read]
    before = np.maximum.accumulate(np.append(0, read[:-1, 1]))
    first_of_its_characters: NDArray[np.int64] = np.flatnonzero((read[:, 0] < read[:, 1]) & (read[:, 0] >= before))
    return first_of_its_characters


def _after_white_space(encoded: EncodedDocument, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the tokens stand at the start of the text or behind white space."""
    text = encoded.document.text
    return np.array([start == 0 or text[start - 1].isspace() for start in encoded.offsets[tokens, 0].tolist()], bool)
