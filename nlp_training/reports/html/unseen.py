"""Documents with text that the model did not see: unread, deleted by preprocessing, or under unknown tokens."""

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

from nlp_inference import Document

MOST = 10
"""The number of documents to show: those with the most characters that the model did not see."""

_RANGES = 3
_SURFACE = 60


class UnseenText(NamedTuple):
    """A document with text that the model did not see.

    Args:
        name: its id or number.
        characters: the number of its characters, including the text pair.
        unread, deleted, unknown: the number of characters of each kind; see `Coverage`.
        surfaces: the beginnings of the first such ranges.
    """

    name: str
    characters: int
    unread: int
    deleted: int
    unknown: int
    surfaces: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of characters that the model did not see."""
        return self.unread + self.deleted + self.unknown


class Unseen:
    """The documents of a data set with text that the model did not see.

    Attributes:
        seen: the number of all documents.
        documents: the number of documents with such text.
        worst: the documents with the most such characters.
    """

    def __init__(self) -> None:
        self.seen = self.documents = 0
        self.worst: list[UnseenText] = []

    def add(self, document: Document) -> None:
        """Add the coverage of one document.

        Example:
            >>> from nlp_inference.document import Coverage
            >>> unseen = Unseen()
            >>> coverage = Coverage(characters=9, read=6, windows=1, deleted=((0, 3),))
            >>> unseen.add(Document(id="7", raw_text="<a> Ana b", coverage=coverage))
            >>> unseen.documents, unseen.worst[0].deleted, unseen.worst[0].surfaces
            (1, 3, ('<a>',))
        """
        self.seen += 1
        coverage, pair = document.coverage, document.raw_text_pair or ""
        if coverage is None or not (coverage.not_seen or coverage.not_seen_pair):
            return
        self.documents += 1
        found = UnseenText(
            name=document.id if document.id is not None else f"number {self.seen}",
            characters=coverage.characters,
            unread=_length(coverage.unread) + _length(coverage.unread_pair),
            deleted=_length(coverage.deleted) + _length(coverage.deleted_pair),
            unknown=_length(coverage.unknown) + _length(coverage.unknown_pair),
            surfaces=tuple(
                text[start : min(end, start + _SURFACE)] + ("…" if end - start > _SURFACE else "")
                for text, ranges in ((document.raw_text, coverage.not_seen), (pair, coverage.not_seen_pair))
                for start, end in ranges[:_RANGES]
            )[:_RANGES],
        )
        insort(self.worst, found, key=lambda one: -one.total)
        del self.worst[MOST:]


def _length(ranges: Sequence[tuple[int, int]]) -> int:
    return sum(end - start for start, end in ranges)
