"""How long the documents of a data set took."""

from array import array
from bisect import insort
from typing import NamedTuple

from nlp_inference import Document

SLOWEST = 10
"""Documents that are shown."""

_BEGINNING = 160


class Slow(NamedTuple):
    """A document that took long."""

    seconds: float
    name: str
    characters: int
    windows: int
    beginning: str


class Times:
    """The times of documents, one number each, and the slowest of them."""

    def __init__(self) -> None:
        self.seconds = array("d")
        self.slowest: list[Slow] = []

    def add(self, document: Document, seconds: float) -> None:
        """Take one document."""
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
        """The mean time, and those that half, 95 % and 99 % of the documents did not exceed (nearest rank), in seconds.

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
