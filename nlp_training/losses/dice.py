"""Dice loss: overlap of what is predicted with what is there, class by class."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import Items, Loss


class Dice(Loss):
    """The sum over classes of `1 - (2 p_c y_c + g) / (p_c^2 + y_c^2 + g)` for an item, with `y` one-hot.

    `p = softmax(logits)` `[items, C]`. Li et al. (2020), https://arxiv.org/abs/1911.02855, their DL, each class
    against the rest. Their self-adjusting factor `(1 - p)^alpha` is left out: with it, the term of the class that is
    there is least at `p_y = 1 / (1 + alpha)`, and not at 1.

    When to use: spans are rare and the F1 score is what counts. Learns slowly at first, since the slope vanishes where
    the model is sure and wrong; try focal loss first.

    Args:
        smoothing: `g`, which keeps the fraction apart from 0 / 0.

    Example:
        >>> Dice().values(Items(torch.tensor([[9.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0]))).round(decimals=3)
        tensor([0.0000, 0.3110])
    """

    name = "dice"

    smoothing: Annotated[float, Field(gt=0)] = 1.0

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        p = items.logits.softmax(dim=-1)
        y = torch.nn.functional.one_hot(items.targets, p.shape[-1]).to(p.dtype)
        return (1 - (2 * p * y + self.smoothing) / (p**2 + y + self.smoothing)).sum(dim=-1)
