"""Scores of pairs of spans for each label of a relation, computed from vectors of the tokens at the edges of the spans.

The functions use only what numpy arrays and torch tensors have in common, so that training and prediction share them.
"""

from typing import Any, NamedTuple

HEAD, TAIL = 0, 1
"""The roles of a span in a relation, as positions on an axis of the vectors."""


class PairVectors(NamedTuple):
    """The outputs of a model for one row from which all pairs of spans can be scored, as arrays or tensors.

    Attributes:
        links: `[tokens, 2, 2, link size]`, vectors of each token as first or last token of the head or the tail.
        edges: `[tokens, 2, 2, size]`, the same, for features of the spans.
        types: `[2, span labels, size]`, vectors of the label of the head or the tail.
        weights: `[labels, 3 * size + 1]`, the weights of products of features, of features of the head and of the tail,
            and a constant.
    """

    links: Any
    edges: Any
    types: Any
    weights: Any


def pair_scores(vectors: PairVectors, heads: Any, tails: Any) -> Any:
    """Return the score of each pair of spans for each label, `[heads, tails, labels]`.

    A biaffine classifier (Dozat and Manning, 2017, https://arxiv.org/abs/1611.01734) with a diagonal matrix for each
    label, plus a product that all labels share and that says whether two spans are linked at all. The features of a
    span come from its first token, its last token and its label.

    Args:
        vectors: the outputs for the row.
        heads: `[heads, 3]`, the first token, the last token and the label of each span, as integers.
        tails: `[tails, 3]`, the same.

    Example:
        >>> import numpy as np
        >>> vectors = PairVectors(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1)), -np.ones((2, 1, 1)), np.ones((1, 4)))
        >>> pair_scores(vectors, np.array([[0, 0, 0]]), np.array([[0, 0, 0]])).tolist()
        [[[8.0]]]
    """
    linked = _of_edges(vectors.links, heads, HEAD) @ _of_edges(vectors.links, tails, TAIL).swapaxes(0, 1)
    of_heads, of_tails = _features(vectors, heads, HEAD), _features(vectors, tails, TAIL)
    size = vectors.edges.shape[-1]
    products, head_weights, tail_weights = (vectors.weights[:, size * part : size * (part + 1)] for part in range(3))
    both = (of_heads[:, None] * products) @ of_tails.swapaxes(0, 1)  # [heads, labels, tails]
    alone = (of_heads @ head_weights.swapaxes(0, 1))[:, None] + of_tails @ tail_weights.swapaxes(0, 1)
    return both.swapaxes(1, 2) + alone + linked[..., None] + vectors.weights[:, -1]


def _features(vectors: PairVectors, spans: Any, role: int) -> Any:
    """Return `[spans, size]`, with a rectifier, so that features may depend on both edges and the label together."""
    summed = _of_edges(vectors.edges, spans, role) + vectors.types[role, spans[:, 2]]
    return summed * (summed > 0)


def _of_edges(vectors: Any, spans: Any, role: int) -> Any:
    return vectors[spans[:, 0], 0, role] + vectors[spans[:, 1], 1, role]
