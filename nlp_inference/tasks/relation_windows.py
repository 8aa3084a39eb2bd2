"""Relations that were scored in windows, combined into those of the document."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.encoding.windows import Window
from nlp_inference.tasks.base import Arrays
from nlp_inference.tasks.relation_rules import Found


class Candidates(NamedTuple):
    """The spans of a window between which relations were scored.

    Attributes:
        positions: the position of each among the spans of the document; -1 if it is none of them.
        first: the first token of each in the document.
        last: the last token of each.
        pairs: the relations above the threshold: head and tail among the candidates, and label id.
        logits: the score of each relation.
    """

    positions: list[int]
    first: list[int]
    last: list[int]
    pairs: list[tuple[int, int, int]]
    logits: list[float]

    @classmethod
    def of(cls, tokens: NDArray[np.int64], positions: list[int], condensed: Arrays) -> "Candidates":
        """Return the candidates of a window.

        Args:
            tokens: `[candidates, ...]`, first and last token of each in the document.
            positions: the position of each among the spans of the document.
            condensed: the result of `RelationExtraction.condense`.
        """
        pairs = [(head, tail, label) for head, tail, label in condensed["pairs"].tolist()]
        return cls(positions, tokens[:, 0].tolist(), tokens[:, 1].tolist(), pairs, condensed["pair_logits"].tolist())


def combine_windows(windows: Sequence[Window], candidates: Sequence[Candidates]) -> dict[Found, float]:
    """Return the relations between the spans of a document, by their positions, with their scores.

    Whether two spans are related is decided in one window: of those in which both are candidates, the one in which they
    are farthest from an edge; for ties, the first.

    Args:
        windows: the windows of the document.
        candidates: for each window, its candidates.
    """
    present = [set(one.positions) for one in candidates]
    found: dict[Found, float] = {}
    for number, one in enumerate(candidates):
        for (head, tail, label), logit in zip(one.pairs, one.logits, strict=True):
            ends = one.positions[head], one.positions[tail]
            if -1 in ends or ends[0] == ends[1]:
                continue
            first, last = min(one.first[head], one.first[tail]), max(one.last[head], one.last[tail])
            holders = [other for other, its in enumerate(present) if its.issuperset(ends)]
            if max(holders, key=lambda other: _margin(windows[other], first, last)) == number:
                key = (*ends, label)
                found[key] = max(logit, found.get(key, logit))
    return found


def _margin(window: Window, first: int, last: int) -> int:
    """Return how many tokens of a window are on the shorter side of a range of tokens."""
    return min(first - window.start, window.end - 1 - last)
