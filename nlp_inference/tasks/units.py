"""The units of a document: the words (or tokens) that have a tag, or at which a span starts and ends."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document import Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.words import Characters, Positions, widen_to_clusters, word_bounds
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import DELETED, EDGE_CHANGED, UNREAD

WORD_DIVIDED = "its edge lies inside a word"
SUBWORD_DIVIDED = "its edge lies inside a token"
WHITE_SPACE_EDGE = "white space at its edge"
BEYOND_WINDOW = "beyond the window that is read"
IN_NO_WINDOW = "no window contains all of it"
MERGED = "merged with a neighbor by the scheme"
"""Causes of `LostSpan`. The name of the scheme follows `MERGED`."""

UnitRange = tuple[int, int]
"""First unit, and unit after the last one."""


class Units(NamedTuple):
    """The units of a document that were read.

    Attributes:
        tokens: `[units]`, position of the token that represents each unit; the tokens before that of the next unit
            belong to it.
        starts: `[units]`, the offset of its first character in the current text.
        ends: `[units]`, the end offset of its last character.
        kind: whether units are words or tokens.
    """

    tokens: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kind: Literal["word", "token"]

    def touched_by(self, encoded: EncodedDocument, span: Span, *, free: int = 0) -> UnitRange | None:
        """Return the units that a raw span touches, starting at the unit `free`; `None` if there are none."""
        start, end = encoded.document.aligned.to_current(span.start, span.end)
        first = max(free, int(np.searchsorted(self.ends, start, side="right")))
        after = int(np.searchsorted(self.starts, end, side="left"))
        return (first, after) if start < end and first < after else None


def read_units(encoded: EncodedDocument, *, are_tokens: bool) -> Units:
    """Return the units in the windows of a document.

    Args:
        encoded: the document.
        are_tokens: whether each token is a unit, instead of each word.
    """
    if are_tokens:
        return _token_units(encoded.offsets[: encoded.tokens_read])
    words = encoded.words
    if not encoded.truncated:
        return Units(words.tokens, words.starts, words.ends, "word")
    read = slice(int(np.searchsorted(words.tokens, encoded.tokens_read)))
    ends = np.minimum(words.ends[read], encoded.offsets[: encoded.tokens_read, 1].max(initial=0))
    return Units(words.tokens[read], words.starts[read], ends, "word")


def raw_edges(encoded: EncodedDocument, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Map ranges of the current text to the raw text, widened to complete characters.

    Args:
        encoded: the document.
        ranges: start and end of each range; no range is empty.
    """
    document = encoded.document
    found = [document.aligned.to_raw(start, end) for start, end in ranges]
    if not found or not document.edits or not encoded.complete_characters or document.raw_text.isascii():
        return found
    starts, ends = np.array(found).T
    starts, ends = widen_to_clusters(Characters.of(document.raw_text), starts, ends)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def known_gold(encoded: EncodedDocument, labels: tuple[str, ...]) -> list[Span]:
    """Return the gold spans of a document, in order.

    Raises:
        InvalidDocumentError: it has no gold, or gold with a label that is not in `labels`.
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
    """Return why a gold span cannot be predicted from the units that it touches; `None` if it can."""
    aligned = encoded.document.aligned
    start, end = aligned.to_current(span.start, span.end)
    if start == end:
        return DELETED
    is_cut = _has_unread_token(encoded, start, end)
    if touched is None or is_cut:
        return BEYOND_WINDOW if is_cut else UNREAD
    if raw_edges(encoded, [(start, end)]) != [(span.start, span.end)]:
        return EDGE_CHANGED
    if aligned.current[start:end] != aligned.current[start:end].strip():
        return WHITE_SPACE_EDGE
    edges = int(units.starts[touched[0]]), int(units.ends[touched[1] - 1])
    if edges != (start, end):
        return SUBWORD_DIVIDED if units.kind == "token" or _are_words(encoded, start, end, edges) else WORD_DIVIDED
    return None


def _has_unread_token(encoded: EncodedDocument, start: int, end: int) -> bool:
    """Return whether a token of `start:end` is after the window that is read."""
    starts, ends = encoded.offsets[encoded.tokens_read :].T
    return bool(((starts < ends) & (starts < end) & (ends > start)).any())


def _are_words(encoded: EncodedDocument, start: int, end: int, edges: tuple[int, int]) -> bool:
    """Return whether `start:end` consists of complete words, so the cause is a token that several words share."""
    if encoded.words.rule == "tokenizer":
        return False
    words = word_bounds(Characters.of(encoded.document.text[slice(*edges)]), encoded.words.rule)
    return start - edges[0] in words[0] and end - edges[0] in words[1]


def _token_units(offsets: Positions) -> Units:
    """Return a unit for each token that starts a character; later tokens of the same character belong to it."""
    before = np.maximum.accumulate(np.append(0, offsets[:-1, 1]))
    tokens = np.flatnonzero((offsets[:, 0] < offsets[:, 1]) & (offsets[:, 0] >= before))
    ends = np.where(offsets[:, 0] < offsets[:, 1], offsets[:, 1], 0)
    ends = np.maximum.reduceat(ends, tokens) if len(tokens) else tokens
    return Units(tokens, offsets[tokens, 0], ends, "token")
