"""One path of a hierarchy of labels for a text."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nlp_inference._utils.cached import cached
from nlp_inference.document import Annotation, Category
from nlp_inference.tasks.base import DocumentOutputs
from nlp_inference.tasks.numeric import log_softmax
from nlp_inference.tasks.text_classification import TextClassification

SEPARATOR = "/"
"""Between the names of a path."""


def ancestors(path: str) -> tuple[str, ...]:
    """Return all prefixes of a path, the shortest first and the path itself last.

    Example:
        >>> ancestors("bank/card/lost")
        ('bank', 'bank/card', 'bank/card/lost')
    """
    names = path.split(SEPARATOR)
    return tuple(SEPARATOR.join(names[:count]) for count in range(1, len(names) + 1))


class HierarchicalClassification(TextClassification):
    """Choose a path such as `bank/card/lost` in a hierarchy of labels.

    The model has a class for each path, also for those that end above the lowest level. The probability of a node is
    the sum over all paths through it, so that a prediction is consistent at every level.

    Args:
        labels: the paths, with the names separated by `/`.
        pooling, symmetric, top_k, temperature: as for `text-classification`.
        threshold: a predicted path is truncated until its probability is at least this. A path whose first level has a
            lower probability is not predicted.
        repeated_names: whether a name may occur under several parents, such as `bank/other` and `travel/other`.

    A category's label is the path, and its score the probability of its last node.

    Example:
        >>> task = HierarchicalClassification(labels=("bank/card", "bank/loan", "travel"), threshold=0.5)
        >>> task.model_settings()["id2label"]
        {0: 'bank/card', 1: 'bank/loan', 2: 'travel'}

    Raises:
        pydantic.ValidationError: a path has an empty name, labels repeat or are none, `threshold` is not between 0 and
            1, or a name occurs under two parents and `repeated_names` is false.
    """

    name = "hierarchical-classification"
    needs = "path"

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    repeated_names: bool = False

    @model_validator(mode="after")
    def _check_paths(self) -> Self:
        parents: dict[str, set[str]] = defaultdict(set)
        for label in self.labels:
            if not all(name.strip() for name in label.split(SEPARATOR)):
                raise ValueError(f"the path {label!r} has an empty name; write names separated by single slashes")
            for node in ancestors(label):
                parent, _, name = node.rpartition(SEPARATOR)
                parents[name].add(parent)
        twice = next((name for name in sorted(parents) if len(parents[name]) > 1), None)
        if twice is not None and not self.repeated_names:
            where = " and ".join(repr(parent or "the top level") for parent in sorted(parents[twice])[:2])
            raise ValueError(
                f"the label {twice!r} is in two places of the hierarchy, under {where}; correct it, or set "
                "repeated_names: true if both are intended"
            )
        return self

    @cached
    def nodes(self) -> tuple[str, ...]:
        """All nodes of the hierarchy, sorted."""
        return tuple(sorted({node for label in self.labels for node in ancestors(label)}))

    @cached
    def _paths_through(self) -> NDArray[np.float32]:
        """`[labels, nodes]`: 1 where a path goes through a node."""
        position = {node: index for index, node in enumerate(self.nodes)}
        through = np.zeros((len(self.labels), len(position)), dtype=np.float32)
        for index, label in enumerate(self.labels):
            through[index, [position[node] for node in ancestors(label)]] = 1
        return through

    def _decode_batch(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Return the best paths of each document, truncated where they are uncertain."""
        logits = np.stack([one.of_text("logits", self.pooling) for one in outputs])
        scores = np.exp(log_softmax(logits, temperature=self.temperature))
        best = np.argsort(-scores, axis=1, kind="stable")
        of_nodes = np.minimum(scores @ self._paths_through, 1.0)
        return [self._annotation(*both) for both in zip(best.tolist(), of_nodes, strict=True)]

    def _annotation(self, best: Sequence[int], of_nodes: NDArray[np.float32]) -> Annotation:
        """Return the best paths, truncated to the nodes that are probable enough."""
        probability = dict(zip(self.nodes, of_nodes.tolist(), strict=True))
        found: dict[str, float] = {}
        for label in best:
            probable = [node for node in ancestors(self.labels[label]) if probability[node] >= self.threshold]
            if probable and not any(probable[-1] in ancestors(one) for one in found):
                found[probable[-1]] = probability[probable[-1]]
            if len(found) == self.top_k:
                break
        return Annotation(categories=tuple(Category(label=label, score=score) for label, score in found.items()))
