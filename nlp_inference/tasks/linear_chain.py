"""Best tag sequences of linear chains with the probability of each tag, for many chains in parallel."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Chains(NamedTuple):
    """Parallel chains, the longest first, so the chains that have a given step are at the front.

    Attributes:
        scores: `[all steps, tags]`, the score of each tag: the first step of all chains, then the second step, …
        moves: `[chains, tags, tags]`, the score of the second tag directly after the first.
        ends: `[tags]`, the score of each tag at the end of a chain.
        steps: the slice of `scores` for each step.
    """

    scores: Floats
    moves: Floats
    ends: Floats
    steps: tuple[slice, ...]


def tag_chains(
    scores: Sequence[NDArray[np.floating]],
    moves: Sequence[NDArray[np.floating]],
    *,
    starts: NDArray[np.floating],
    ends: NDArray[np.floating],
) -> list[tuple[Ints, Floats]]:
    """Return the best tag sequence of each chain, and the probability of each of its tags.

    The score of a sequence is the sum of the scores of its tags, moves, start and end; its probability is the softmax
    of the score over all sequences. The algorithm of Viterbi (1967, https://doi.org/10.1109/TIT.1967.1054010) finds the
    best sequence, and forward and backward sums the marginal probability of a tag (Rabiner 1989,
    https://doi.org/10.1109/5.18626). The results of a chain are bitwise independent of the other chains.

    Args:
        scores: for each chain `[steps, tags]`, with at least one step.
        moves: for each chain `[tags, tags]`, the score of the second tag directly after the first; minus infinity
            forbids it. There must be a path from the tags that `starts` allows to one that `ends` allows.
        starts: `[tags]`, the score of each tag at the first step.
        ends: `[tags]`, the score of each tag at the last step.

    Returns:
        For each chain, tag ids `[steps]` and probabilities `[steps]`.

    Example:
        >>> scores, free = np.log([[0.9, 0.1], [0.4, 0.6]]), np.zeros(2)
        >>> [(tags, certain)] = tag_chains([scores], [np.zeros((2, 2))], starts=free, ends=free)
        >>> tags.tolist(), certain.round(2).tolist()
        ([0, 1], [0.9, 0.6])
        >>> [(tags, certain)] = tag_chains([scores], [np.log([[0.8, 0.2], [0.2, 0.8]])], starts=free, ends=free)
        >>> tags.tolist(), certain.round(2).tolist()
        ([0, 0], [0.88, 0.65])
    """
    order = sorted(range(len(scores)), key=lambda chain: -len(scores[chain]))
    lengths = np.array([len(scores[chain]) for chain in order])
    begins = np.append(0, np.searchsorted(-lengths, -np.arange(lengths[0]), side="left").cumsum())
    positions = [begins[:length] + number for number, length in enumerate(lengths)]
    joined = np.empty((begins[-1], len(starts)))
    for chain, position in zip(order, positions, strict=True):
        joined[position] = scores[chain]
    joined[: len(order)] += starts
    chains = Chains(
        joined,
        np.stack([moves[chain] for chain in order]).astype(np.float64),
        ends.astype(np.float64),
        tuple(slice(*both) for both in pairwise(begins.tolist())),
    )
    tags = _best_tags(chains)
    certain = _probabilities(chains, tags)
    found = {chain: (tags[position], certain[position]) for chain, position in zip(order, positions, strict=True)}
    return [found[chain] for chain in range(len(scores))]


def _best_tags(chains: Chains) -> Ints:
    """Return `[all steps]`, the best tags."""
    origins = np.zeros(chains.scores.shape, dtype=np.min_scalar_type(chains.scores.shape[1]))
    score = chains.scores[chains.steps[0]].copy()
    for step in chains.steps[1:]:
        on = step.stop - step.start
        paths = score[:on, :, None] + chains.moves[:on]
        best = paths.argmax(axis=1)
        origins[step] = best
        score[:on] = np.take_along_axis(paths, best[:, None], axis=1)[:, 0] + chains.scores[step]
    found = np.empty(len(chains.scores), dtype=np.int64)
    last = (score + chains.ends).argmax(axis=1)
    for step in chains.steps[::-1]:
        on = step.stop - step.start
        found[step] = last[:on]
        last[:on] = np.take_along_axis(origins[step], last[:on, None], axis=1)[:, 0]
    return found


def _probabilities(chains: Chains, tags: Ints) -> Floats:
    """Return `[all steps]`, the probability of each tag in `tags`. Each step is normalized to prevent underflow."""
    weights = np.exp(chains.scores - chains.scores.max(axis=1, keepdims=True))
    moves = np.exp(chains.moves - chains.moves.max(axis=(1, 2), keepdims=True))
    forward = np.empty_like(weights)
    before = forward[chains.steps[0]] = _shares(weights[chains.steps[0]])
    for step in chains.steps[1:]:
        on = step.stop - step.start
        before = forward[step] = _shares((before[:on, :, None] * moves[:on]).sum(axis=1) * weights[step])
    certain = np.empty(len(weights))
    backward = np.tile(np.exp(chains.ends - chains.ends.max()), (len(moves), 1))
    for step in chains.steps[::-1]:
        on = step.stop - step.start
        both = _shares(forward[step] * backward[:on])
        certain[step] = np.take_along_axis(both, tags[step, None], axis=1)[:, 0]
        backward[:on] = _shares((moves[:on] * (backward[:on] * weights[step])[:, None]).sum(axis=2))
    return certain


def _shares(sums: Floats) -> Floats:
    """Return each row divided by its sum; a uniform distribution if all values underflow."""
    total = sums.sum(axis=-1, keepdims=True)
    shares: Floats = np.divide(sums, total, out=np.full_like(sums, 1 / sums.shape[-1]), where=total > 0)
    return shares
