"""Rules that relations of a document obey, and the choice of the best relations under them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Types = Mapping[str, Iterable[tuple[str, str]]]
"""For a label of relations, the allowed labels of its head and its tail."""

Found = tuple[int, int, int]
"""The positions of head and tail among the spans, and the id of the label of a relation."""

NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class RelationRules:
    """The rules of a task, by ids of labels.

    Attributes:
        allowed: `[span labels, span labels, labels]`, whether a relation may have a head and a tail of these labels.
        inverses: `[labels]`, the label of the same relation from tail to head; -1 if there is none.
        limits: `[labels]`, the most relations of a label with one head; -1 without a limit.
    """

    allowed: NDArray[np.bool_]
    inverses: NDArray[np.int64]
    limits: NDArray[np.int64]

    def mirrored(self, one: Found) -> Found | None:
        """Return the relation from tail to head that another one implies, if there is one."""
        head, tail, label = one
        inverse = int(self.inverses[label])
        return None if inverse == NONE else (tail, head, inverse)

    def choose(self, found: Mapping[Found, float]) -> dict[Found, float]:
        """Return the relations with the highest scores that obey the limits, each with the one that it implies.

        Args:
            found: the score of each relation. A relation and the one that it implies have the higher of their scores.

        Example:
            >>> rules = relation_rules(["of"], ["X"], symmetric=["of"], max_per_head={"of": 1})
            >>> rules.choose({(0, 1, 0): 2.0, (2, 0, 0): 3.0})
            {(0, 2, 0): 3.0, (2, 0, 0): 3.0}
        """
        best: dict[Found, float] = {}
        for one, score in found.items():
            other = self.mirrored(one)
            first = one if other is None else min(one, other)
            best[first] = max(score, best.get(first, score))
        chosen: dict[Found, float] = {}
        counts = Counter[tuple[int, int]]()
        for one, score in sorted(best.items(), key=lambda item: (-item[1], item[0])):
            other = self.mirrored(one)
            both = (one,) if other is None else (one, other)
            if all(self._has_room(label, counts[head, label]) for head, _, label in both):
                counts.update((head, label) for head, _, label in both)
                chosen.update(dict.fromkeys(both, score))
        return dict(sorted(chosen.items()))

    def _has_room(self, label: int, count: int) -> bool:
        return bool(self.limits[label] == NONE or count < self.limits[label])


def relation_rules(
    labels: Sequence[str],
    span_labels: Sequence[str],
    *,
    types: Types | None = None,
    symmetric: Iterable[str] = (),
    inverses: Mapping[str, str] | None = None,
    max_per_head: Mapping[str, int] | None = None,
) -> RelationRules:
    """Return the rules with ids in place of names.

    Args:
        labels: the labels of relations.
        span_labels: the labels of spans.
        types: the allowed labels of heads and tails; relations of other labels may have any. Those of an inverse are
            the same in the other direction.
        symmetric: labels of relations that hold in both directions.
        inverses: for a label, the one of the same relation from tail to head, in one direction or in both.
        max_per_head: for a label, the most relations with one head.

    Raises:
        ValueError: a label is unknown, has two inverses, or does not allow the labels of its inverse.

    Example:
        >>> rules = relation_rules(["parent", "child"], ["P", "Q"], types={"parent": [("P", "Q")]},
        ...     inverses={"parent": "child"})
        >>> rules.inverses.tolist(), rules.allowed[..., 0].tolist(), rules.allowed[..., 1].tolist()
        ([1, 0], [[False, True], [False, False]], [[False, False], [True, False]])
    """
    types, inverses, max_per_head = types or {}, inverses or {}, max_per_head or {}
    other_of = _inverses_by_name(symmetric, inverses)
    _check_known({*types, *other_of, *max_per_head}, labels, "labels")
    pairs = _both_directions(
        {label: {(head, tail) for head, tail in given} for label, given in types.items()}, other_of
    )
    _check_known({one for given in pairs.values() for pair in given for one in pair}, span_labels, "span_labels")
    allowed = np.ones((len(span_labels), len(span_labels), len(labels)), dtype=np.bool_)
    for label, given in pairs.items():
        allowed[..., labels.index(label)] = [[(head, tail) in given for tail in span_labels] for head in span_labels]
    return RelationRules(
        allowed,
        np.array([labels.index(other_of[label]) if label in other_of else NONE for label in labels]),
        np.array([max_per_head.get(label, NONE) for label in labels]),
    )


def _inverses_by_name(symmetric: Iterable[str], inverses: Mapping[str, str]) -> dict[str, str]:
    """Return the inverse of each label that has one, in both directions."""
    found: dict[str, str] = {}
    pairs = [*((label, label) for label in symmetric), *inverses.items(), *((b, a) for a, b in inverses.items())]
    for label, inverse in pairs:
        if found.setdefault(label, inverse) != inverse:
            raise ValueError(f"the label {label!r} has two inverses, {found[label]!r} and {inverse!r}; name one")
    return found


def _both_directions(
    types: Mapping[str, set[tuple[str, str]]], other_of: Mapping[str, str]
) -> dict[str, set[tuple[str, str]]]:
    """Add to the types of each label those of its inverse in the other direction."""
    found = {label: set(pairs) for label, pairs in types.items()}
    for label, pairs in types.items():
        inverse = other_of.get(label)
        if inverse is None:
            continue
        turned = {(tail, head) for head, tail in pairs}
        if inverse != label and types.get(inverse, turned) != turned:
            raise ValueError(
                f"types of {inverse!r} are {sorted(types[inverse])!r}, but those of its inverse {label!r} are "
                f"{sorted(pairs)!r}; give one of them, or both with heads and tails exchanged"
            )
        found[inverse] = found.get(inverse, set()) | turned
    return found


def _check_known(given: set[str], known: Sequence[str], name: str) -> None:
    if unknown := sorted(given.difference(known)):
        raise ValueError(f"{unknown[0]!r} is not among {name}, which are {', '.join(map(repr, known))}")
