"""Relations of a document and of its windows: the gold of each window, and predictions of windows combined."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document import Annotation, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.span_pairs import PairVectors, pair_scores
from nlp_inference.encoding.windows import Window
from nlp_inference.tasks.base import Arrays
from nlp_inference.tasks.relation_rules import NONE, Found, RelationRules
from nlp_inference.tasks.span_classification import RawSpan, SpanClassification, UnitSpan, windows_with
from nlp_inference.tasks.units import Units, read_units

_SCORES_AT_ONCE = 1_000_000
"""How many scores of pairs are in memory at the same time."""

TokenSpan = tuple[int, int, int]
"""The tokens of the first and of the last word, and label id."""


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
            tokens: `[candidates, 3]`, first and last token of each in the document.
            positions: the position of each among the spans of the document.
            condensed: the result of `RelationExtraction.condense`.
        """
        pairs = [(head, tail, label) for head, tail, label in condensed["pairs"].tolist()]
        return cls(positions, tokens[:, 0].tolist(), tokens[:, 1].tolist(), pairs, condensed["pair_logits"].tolist())


def gold_of_windows(
    encoded: EncodedDocument, gold: Annotation, *, finder: SpanClassification, labels: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield for each window the spans and the relations that it contains.

    Args:
        encoded: the document.
        gold: its gold, with the spans of the document and perhaps more relations.
        finder: the task that finds the spans.
        labels: the labels of relations; others are left out.

    Yields:
        The spans `[spans, 3]`: first token and last token, counted from the start of the window, and label id; and the
        relations `[relations, 3]`: positions of head and tail among these spans, and label id.

    Raises:
        InvalidDocumentError: the document has no gold, or spans of an unknown label.
    """
    units = read_units(encoded, are_tokens=False)
    placed: dict[RawSpan, TokenSpan] = {}
    inside: list[set[TokenSpan]] = [set() for _ in encoded.windows]
    for span, touched in finder.place_gold(encoded, units):
        if touched is not None:
            tokens = in_tokens(units, (*touched, finder.labels.index(span.label)))
            placed[span_key(span)] = tokens
            for number in windows_with(encoded.windows, units, touched):
                inside[number].add(tokens)
    for window, spans in zip(encoded.windows, inside, strict=True):
        position = {span: index for index, span in enumerate(sorted(spans))}
        relations = set()
        for one in gold.relations:
            ends = (placed.get(span_key(gold.spans[end])) for end in (one.head, one.tail))
            head, tail = (-1 if tokens is None else position.get(tokens, -1) for tokens in ends)
            if -1 not in (head, tail) and head != tail and one.label in labels:
                relations.add((head, tail, labels.index(one.label)))
        counted = np.array([*position], dtype=np.int64).reshape(-1, 3) - np.array([window.start, window.start, 0])
        yield counted, np.array(sorted(relations), dtype=np.int64).reshape(-1, 3)


def in_tokens(units: Units, span: UnitSpan) -> TokenSpan:
    """Return the tokens of the first and of the last unit of a span."""
    first, after, label = span
    return int(units.tokens[first]), int(units.tokens[after - 1]), label


def span_key(span: Span) -> RawSpan:
    """Return by what spans are compared."""
    return span.start, span.end, span.label


def related_pairs(
    vectors: PairVectors, spans: NDArray[np.int64], *, rules: RelationRules, least_logit: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the relations between the spans of a window: head, tail and label id `[relations, 3]`, and their logits.

    The score of a label that has an inverse is the mean of both directions.

    Args:
        vectors: the vectors of the window.
        spans: `[spans, 3]`, first token, last token and label id of each span.
        rules: the rules of labels.
        least_logit: the score above which two spans are related.
    """
    turned = np.flatnonzero(rules.inverses != NONE)
    step = max(1, _SCORES_AT_ONCE // max(1, len(spans) * len(rules.inverses)))
    pairs, logits = [np.empty((0, 3), dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for begin in range(0, len(spans), step):
        heads = spans[begin : begin + step]
        scores = pair_scores(vectors, heads, spans)
        if len(turned):
            back = pair_scores(vectors, spans, heads).swapaxes(0, 1)[..., rules.inverses[turned]]
            scores[..., turned] = (scores[..., turned] + back) / 2
        found = (scores > least_logit) & rules.allowed[heads[:, 2][:, None], spans[:, 2]]
        found[np.arange(len(heads)), np.arange(begin, begin + len(heads))] = False  # a span and itself
        head, tail, label = found.nonzero()
        pairs.append(np.stack([head + begin, tail, label], axis=1))
        logits.append(scores[head, tail, label].astype(np.float32))
    return np.concatenate(pairs), np.concatenate(logits)


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
