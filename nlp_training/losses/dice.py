"""Dice loss: the overlap of predictions and targets for each class."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import Items, Loss


class Dice(Loss):
    """The sum over classes of `1 - (2 p_c y_c + g) / (p_c^2 + y_c^2 + g)` for an item, with `y` one-hot.

    `p = softmax(logits)` `[items, C]`. Li et al. (2020), https://arxiv.org/abs/1911.02855, their DL, each class
    against the rest.

    With `self_adjusting: alpha` it is their DSC, `1 - (2 q_c y_c + g) / (q_c + y_c + g)` with
    `q_c = (1 - p_c)^alpha p_c`: confident predictions have little weight, as in focal loss. `q_y` has its maximum at
    `p_y = 1 / (1 + alpha)` and is 0 at 1, so the model is not trained to be more confident: keep alpha small (their
    code uses 0.01 to 0.3), and do not interpret the scores as probabilities.

    When to use: spans are rare and the F1 score matters; the self-adjusting factor if easy items still dominate. The
    loss learns slowly at first, because the gradient vanishes where the model is confident and wrong; try focal loss
    first.

    Args:
        smoothing: `g`, which prevents the fraction 0 / 0.
        self_adjusting: alpha of DSC; `None` means DL. With 0, it is DL without the squares.

    Example:
        >>> items = Items(torch.tensor([[9.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0]))
        >>> Dice().values(items).round(decimals=3)
        tensor([0.0000, 0.3110])
        >>> Dice(self_adjusting=0.1).values(items).round(decimals=3)
        tensor([0.2470, 0.5340])
    """

    name = "dice"

    smoothing: Annotated[float, Field(gt=0)] = 1.0
    self_adjusting: Annotated[float, Field(ge=0)] | None = None

    def values(self, items: Items) -> Tensor:
        """Return `[items]`."""
        log_p = items.logits.log_softmax(dim=-1)
        p = log_p.exp()
        y = torch.nn.functional.one_hot(items.targets, p.shape[-1]).to(p.dtype)
        if self.self_adjusting is None:
            return self._distances(2 * p * y, p**2 + y)
        missing = (-torch.expm1(log_p)).clamp(min=torch.finfo(p.dtype).tiny)  # a power of 0 may have no gradient
        q = missing**self.self_adjusting * p
        return self._distances(2 * q * y, q + y)

    def _distances(self, shared: Tensor, both: Tensor) -> Tensor:
        return (1 - (shared + self.smoothing) / (both + self.smoothing)).sum(dim=-1)
