"""Focal loss: confident predictions have little weight."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import Items, Loss
from nlp_training.losses.class_weights import ClassWeights, OptionalClassWeights


class Focal(Loss):
    """`-w_y (1 - p_y)^gamma log p_y` for an item of class `y`, with `p = softmax(logits)` `[items, C]`.

    Lin et al. (2017), https://arxiv.org/abs/1708.02002; the class weight `w_y` is their alpha. Divided by the sum of
    `w_y`, so `gamma: 0` is weighted cross entropy. When to use: a class is so frequent that its easy items dominate the
    loss, such as `O` among tags. Scores are less confident than the accuracy; do not interpret them as probabilities.

    Args:
        gamma: how much easy items are down-weighted; 0 gives all items the same weight.
        class_weights: `inverse_frequency`, `{effective_number: beta}`, or `None`; counted on the training documents.

    Example:
        >>> Loss.from_spec({"focal": 3})
        Focal(gamma=3.0, class_weights=None)
        >>> Focal(gamma=1).values(Items(torch.zeros(1, 2), torch.tensor([0]))).round(decimals=3)
        tensor([0.3470])
    """

    name = "focal"

    gamma: Annotated[float, Field(ge=0)] = 2.0
    class_weights: OptionalClassWeights = None

    def class_weighting(self) -> ClassWeights | None:
        """Return the field `class_weights`."""
        return self.class_weights

    def values(self, items: Items) -> Tensor:
        """Return `[items]`."""
        log_p = items.logits.log_softmax(dim=-1).gather(-1, items.targets[:, None])[:, 0]
        missing = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)  # a power of 0 may have no gradient
        values = -(missing**self.gamma) * log_p
        return values if items.class_weights is None else values * items.class_weights[items.targets]
