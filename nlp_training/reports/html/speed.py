"""Prediction times of the documents of a data set."""

from array import array
from bisect import insort
from typing import NamedTuple

from nlp_inference import Document

SLOWEST = 10
"""The number of slowest documents to show."""

_BEGINNING = 160


class Slow(NamedTuple):
    """A slow document."""

    seconds: float
    name: str
    characters: int
    windows: int
    beginning: str


class Times:
    """The times of documents and the slowest documents."""

    def __init__(self) -> None:
        self.seconds = array("d")
        self.slowest: list[Slow] = []

    def add(self, document: Document, seconds: float) -> None:
        """Add the time of one document."""
        self.seconds.append(seconds)
        if len(self.slowest) == SLOWEST and seconds <= self.slowest[-1].seconds:
            return
        text = document.raw_text
        beginning = " ".join(text[:_BEGINNING].split()) + ("…" if len(text) > _BEGINNING else "")
        name = document.id if document.id is not None else f"number {len(self.seconds)}"
        characters = len(text) + len(document.raw_text_pair or "")
        windows = document.coverage.windows if document.coverage else 1
        insort(self.slowest, Slow(seconds, name, characters, windows, beginning), key=lambda slow: -slow.seconds)
        del self.slowest[SLOWEST:]

    def facts(self) -> dict[str, float]:
        """Return the mean, the median and the 95th and 99th percentiles (nearest rank), in seconds.

        Example:
            >>> times = Times()
            >>> for seconds in (0.5, 0.25, 0.25, 1.0):
            ...     times.add(Document(raw_text="a"), seconds)
            >>> times.facts()
            {'mean': 0.5, 'median': 0.25, '95 %': 1.0, '99 %': 1.0}
        """
        if not self.seconds:
            return {}
        ordered = sorted(self.seconds)
        shares = {"median": 50, "95 %": 95, "99 %": 99}
        ranks = {name: ordered[-(-len(ordered) * share // 100) - 1] for name, share in shares.items()}
        return {"mean": sum(ordered) / len(ordered), **ranks}
