"""The best tag sequences of linear chains, and how certain each of their tags is; many chains side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Chains(NamedTuple):
    """Chains side by side, the longest first, so that those that go on at a step are the first of them.

    Attributes:
        scores: `[steps, chains, tags]`, of each tag at each step; zero behind the end of a chain.
        moves: `[chains, tags, tags]`, of the second tag right behind the first.
        ends: `[chains, tags]`, of each tag at the end of a chain.
        lengths: `[chains]`, steps of each chain, none of which is empty.
    """

    scores: Floats
    moves: Floats
    ends: Floats
    lengths: Ints

    def going_on(self, step: int) -> int:
        """How many chains have this step."""
        return int(np.searchsorted(-self.lengths, -step, side="left"))


def tag_chains(
    scores: Sequence[NDArray[np.floating]],
    moves: Sequence[NDArray[np.floating]],
    *,
    starts: NDArray[np.floating],
    ends: NDArray[np.floating],
) -> list[tuple[Ints, Floats]]:
    """The best tag sequence of each chain, and the probability of each of its tags.

    A sequence scores the sum of its tags, its moves, its start and its end; its probability is the softmax of that over
    all sequences. The best is found by the algorithm of Viterbi (1967, https://doi.org/10.1109/TIT.1967.1054010), the
    probability of a tag, whatever stands elsewhere, by forward and backward sums (Rabiner 1989,
    https://doi.org/10.1109/5.18626). Chains do not change each other's results, not even in their last bits.

    Args:
        scores: for each chain `[steps, tags]`, of at least one step.
        moves: for each chain `[tags, tags]`, the score of the second tag right behind the first; minus infinity forbids
            it. From the tags that `starts` allows others must follow, up to one that `ends` allows.
        starts: `[tags]`, the score of each tag at the first step.
        ends: `[tags]`, the score of each tag at the last step.

    Returns:
        For each chain tag ids `[steps]` and probabilities `[steps]`.

    Example:
        >>> scores, free = np.log([[0.9, 0.1], [0.4, 0.6]]), np.zeros(2)
        >>> [(tags, certain)] = tag_chains([scores], [np.zeros((2, 2))], starts=free, ends=free)
        >>> tags.tolist(), certain.round(2).tolist()
        ([0, 1], [0.9, 0.6])
        >>> [(tags, certain)] = tag_chains([scores], [np.log([[0.8, 0.2], [0.2, 0.8]])], starts=free, ends=free)
        >>> tags.tolist(), certain.round(2).tolist()
        ([0, 0], [0.86, 0.69])
    """
    order = sorted(range(len(scores)), key=lambda chain: -len(scores[chain]))
    chains = _side_by_side([scores[one] for one in order], [moves[one] for one in order], starts, ends)
    tags = _best_tags(chains)
    certain = _probabilities(chains, tags)
    found = {
        chain: (tags[:length, place], certain[:length, place])
        for place, (chain, length) in enumerate(zip(order, chains.lengths.tolist(), strict=True))
    }
    return [found[chain] for chain in range(len(scores))]


def _side_by_side(
    scores: Sequence[NDArray[np.floating]],
    moves: Sequence[NDArray[np.floating]],
    starts: NDArray[np.floating],
    ends: NDArray[np.floating],
) -> Chains:
    lengths = np.array([len(one) for one in scores])
    joined = np.zeros((lengths[0], len(scores), len(starts)))
    for place, one in enumerate(scores):
        joined[: len(one), place] = one
    joined[0] += starts
    return Chains(
        joined, np.stack(moves).astype(np.float64), np.tile(ends, (len(scores), 1)).astype(np.float64), lengths
    )


def _best_tags(chains: Chains) -> Ints:
    """`[steps, chains]`."""
    steps, _, tags = chains.scores.shape
    origins = np.zeros(chains.scores.shape, dtype=np.min_scalar_type(tags))
    score = chains.scores[0].copy()
    for step in range(1, steps):
        on = chains.going_on(step)
        paths = score[:on, :, None] + chains.moves[:on]
        best = paths.argmax(axis=1)
        origins[step, :on] = best
        score[:on] = np.take_along_axis(paths, best[:, None], axis=1)[:, 0] + chains.scores[step, :on]
    found = np.zeros(chains.scores.shape[:2], dtype=np.int64)
    last = (score + chains.ends).argmax(axis=1)
    for step in range(steps - 1, -1, -1):
        on = chains.going_on(step)
        found[step, :on] = last[:on]
        last[:on] = origins[step, np.arange(on), last[:on]] if step else last[:on]
    return found


def _probabilities(chains: Chains, tags: Ints) -> Floats:
    """`[steps, chains]`: of each tag of some sequences. Each step is divided by its sum, so that none vanishes."""
    steps = len(chains.scores)
    weights = np.exp(chains.scores - chains.scores.max(axis=2, keepdims=True))
    moves = np.exp(chains.moves - chains.moves.max(axis=(1, 2), keepdims=True))
    forward = np.empty_like(weights)
    forward[0] = _shares(weights[0])
    for step in range(1, steps):
        on = chains.going_on(step)
        forward[step, :on] = _shares((forward[step - 1, :on, :, None] * moves[:on]).sum(axis=1) * weights[step, :on])
    certain = np.zeros(weights.shape[:2])
    backward = np.exp(chains.ends - chains.ends.max(axis=1, keepdims=True))
    for step in range(steps - 1, -1, -1):
        on = chains.going_on(step)
        both = _shares(forward[step, :on] * backward[:on])
        certain[step, :on] = np.take_along_axis(both, tags[step, :on, None], axis=1)[:, 0]
        backward[:on] = _shares((moves[:on] * (backward[:on] * weights[step, :on])[:, None]).sum(axis=2))
    return certain


def _shares(sums: Floats) -> Floats:
    """Each row over its sum; all alike where scores differ so much that nothing is left of any."""
    total = sums.sum(axis=-1, keepdims=True)
    shares: Floats = np.divide(sums, total, out=np.full_like(sums, 1 / sums.shape[-1]), where=total > 0)
    return shares
