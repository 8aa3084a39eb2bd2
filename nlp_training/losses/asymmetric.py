"""Asymmetric loss: several labels a text, most of which are absent."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import Items, Loss


class Asymmetric(Loss):
    """`-y (1 - p)^g+ log p - (1 - y) q^g- log(1 - q)` for each label, with `q = max(p - margin, 0)`.

    `p = sigmoid(logits)`; every label of every row is an item, so that with zeros for all three settings this is the
    mean of the binary cross entropy. Ridnik et al. (2021), https://arxiv.org/abs/2009.14119.

    When to use: texts have few of many labels, so that nearly all targets are 0. Its task must make `labels` of the
    shape of the logits, 0 or 1 each.

    Args:
        gamma_negative: `g-`, how much less an absent label counts that the model does not expect.
        gamma_positive: `g+`, the same for labels that are there; at most `g-`.
        margin: absent labels of a lower probability count nothing.

    Example:
        >>> logits, there = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])
        >>> Asymmetric().values(Items(logits, there)).round(decimals=4)
        tensor([0.6931, 0.0245])
    """

    name = "asymmetric"
    multi_label: ClassVar[bool] = True

    gamma_negative: Annotated[float, Field(ge=0)] = 4.0
    gamma_positive: Annotated[float, Field(ge=0)] = 0.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        tiny = torch.finfo(items.logits.dtype).tiny
        log_p = torch.nn.functional.logsigmoid(items.logits)
        present = -(items.logits.neg().sigmoid().clamp(min=tiny) ** self.gamma_positive) * log_p
        q = (items.logits.sigmoid() - self.margin).clamp(min=tiny)
        # With a margin q stays below 1; without one, log(1 - q) is exact only as a log-sigmoid.
        log_absent = torch.log1p(-q) if self.margin else torch.nn.functional.logsigmoid(-items.logits)
        absent = -(q**self.gamma_negative) * log_absent
        return torch.where(items.targets > 0, present, absent)
