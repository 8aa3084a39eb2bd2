"""Cross entropy, with label smoothing and class weights."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import Items, Loss
from nlp_training.losses.class_weights import ClassWeights, OptionalClassWeights


class CrossEntropy(Loss):
    """The standard loss for single-label classification.

    `-(1 - e) w_y log p_y - e / C sum_c w_c log p_c` for an item of class `y`, with `p = softmax(logits)` `[items, C]`;
    divided by the sum of `w_y`, as `torch.nn.functional.cross_entropy` does.

    Label smoothing: Szegedy et al. (2016), https://arxiv.org/abs/1512.00567. When to use: try it first. Smoothing makes
    a model less confident, which helps if some labels are wrong. Class weights increase the recall of rare classes at
    the cost of precision.

    Args:
        label_smoothing: `e`, the share of the target that is distributed over all classes.
        class_weights: `inverse_frequency`, `{effective_number: beta}`, or `None`; counted on the training documents.

    Example:
        >>> loss = CrossEntropy(label_smoothing=0.1, class_weights="inverse_frequency")
        >>> loss.to_spec()
        {'cross_entropy': {'label_smoothing': 0.1, 'class_weights': 'inverse_frequency'}}
        >>> CrossEntropy().values(Items(torch.zeros(1, 2), torch.tensor([0]))).exp()
        tensor([2.])
    """

    name = "cross_entropy"

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: OptionalClassWeights = None

    def class_weighting(self) -> ClassWeights | None:
        """Return the field `class_weights`."""
        return self.class_weights

    def values(self, items: Items) -> Tensor:
        """Return `[items]`."""
        return torch.nn.functional.cross_entropy(
            items.logits,
            items.targets,
            weight=items.class_weights,
            label_smoothing=self.label_smoothing,
            reduction="none",
        )
