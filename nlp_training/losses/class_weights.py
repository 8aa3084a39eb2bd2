"""Class weights from the frequencies of the classes in training."""

from abc import ABC, abstractmethod
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainSerializer

from nlp_inference.registry import Registered

Floats = NDArray[np.float64]


class ClassWeights(Registered, ABC):
    """A rule that computes weights from counts. A class that is never a target has the weight 0."""

    kind = "class-weights"

    def weights(self, counts: NDArray[np.int64]) -> Floats:
        """Return `[classes]`, the weight of each class.

        Args:
            counts: `[classes]`, how often each class is a target.
        """
        seen = counts > 0
        weights = np.zeros(len(counts))
        weights[seen] = self._of_seen(counts[seen].astype(np.float64))
        return weights

    @abstractmethod
    def _of_seen(self, counts: Floats) -> Floats: ...


class InverseFrequency(ClassWeights):
    """`N / (C n_c)`: all classes have the same total weight, and the mean weight of a target is 1.

    `n_c` of `N` targets are of class `c`, and `C` classes occur. These are the `balanced` weights of scikit-learn,
    after King and Zeng (2001), https://doi.org/10.1093/oxfordjournals.pan.a004868.

    Example:
        >>> InverseFrequency().weights(np.array([6, 2, 0])).round(3).tolist()
        [0.667, 2.0, 0.0]
    """

    name = "inverse_frequency"

    def _of_seen(self, counts: Floats) -> Floats:
        result: Floats = counts.sum() / (len(counts) * counts)
        return result


class EffectiveNumber(ClassWeights):
    """`(1 - beta) / (1 - beta^n_c)`, scaled to a mean of 1 over the classes that occur.

    Cui et al. (2019), https://arxiv.org/abs/1901.05555: the effective number of `n` samples of a class is
    `(1 - beta^n) / (1 - beta)`. Milder than the inverse frequency for large classes.

    Args:
        beta: 0 gives all classes the same weight; towards 1, the weights approach those of the inverse frequency.

    Example:
        >>> EffectiveNumber(beta=0.5).weights(np.array([1, 2])).round(3).tolist()
        [1.2, 0.8]
    """

    name = "effective_number"

    beta: Annotated[float, Field(ge=0, lt=1)] = 0.999

    def _of_seen(self, counts: Floats) -> Floats:
        weights = (1 - self.beta) / (1 - self.beta**counts)
        result: Floats = weights * len(counts) / weights.sum()
        return result


OptionalClassWeights = Annotated[
    ClassWeights | None,
    BeforeValidator(lambda spec: None if spec is None else ClassWeights.from_spec(spec)),
    PlainSerializer(lambda rule: None if rule is None else rule.to_spec()),
]
"""A field with a rule, or `None` if all classes have the same weight."""
