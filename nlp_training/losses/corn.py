"""The loss of conditional probabilities of ordered labels."""

from typing import ClassVar

import torch
from torch import Tensor

from nlp_training.losses.base import Items, Loss


class Corn(Loss):
    """`-y log p - (1 - y) log(1 - p)` of each conditional output, the default loss of the task `ordinal-regression`.

    CORN (Shi, Cao and Raschka, 2021, https://arxiv.org/abs/2111.08851): the output `k` learns from the rows whose label
    is not below the label `k` whether it is above. The targets of all other rows are NaN, so these outputs are no
    items, and the loss is the mean over the conditional training sets of all outputs (equation 5 of the paper).

    When to use: labels have an order, such as a rating. For rare ranks, `binary_cross_entropy` with `class_weights`
    weights the items of this loss.

    Example:
        >>> items = Items(torch.tensor([0.0, 2.0, -2.0]), torch.tensor([1.0, 1.0, 0.0]))
        >>> Corn().values(items).round(decimals=4)
        tensor([0.6931, 0.1269, 0.1269])
    """

    name = "corn"
    multi_label: ClassVar[bool] = True

    def values(self, items: Items) -> Tensor:
        """Return `[items]`, the loss of each conditional output."""
        targets = items.targets.to(items.logits.dtype)
        return torch.nn.functional.binary_cross_entropy_with_logits(items.logits, targets, reduction="none")
