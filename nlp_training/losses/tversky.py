"""Tversky loss: overlap in which what is spurious and what is missed weigh differently."""

from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor

from nlp_inference.errors import InvalidSpecError
from nlp_training.losses.base import Items, Loss


class Tversky(Loss):
    """The sum over classes of `1 - (p y + g) / (p y + alpha p (1 - y) + beta (1 - p) y + g)` for an item.

    `p = softmax(logits)` `[items, C]`, `y` is one-hot, both of the class `c`. Salehi et al. (2017),
    https://arxiv.org/abs/1706.05721, in the form of Li et al. (2020), https://arxiv.org/abs/1911.02855, who take each
    item by itself where Salehi et al. add up those of an image: so the loss of a step does not depend on how it is
    divided into batches. `alpha` weighs what is predicted and not there, `beta` what is there and not predicted; 0.5
    both give the dice coefficient.

    When to use: missing a span is worse than finding one too many (or, with `alpha` above `beta`, the other way
    around). Set `background: 0` for tags: what is missed for a label is spurious for `O`, so with `O` in the sum both
    weights say nearly the same. Where nearly all tags are `O` it does not learn at all from scratch, since "nothing
    anywhere" costs next to nothing (WNUT-17: F1 0): take cross entropy with class weights, or focal loss, first.

    Args:
        alpha: how much a spurious class weighs.
        beta: how much a missed one weighs; the paper finds 0.7 best, with an alpha of 0.3.
        smoothing: `g`, which keeps the fraction apart from 0 / 0.
        background: id of a class that says that nothing is there, and has no term of its own: 0 for the tag `O`.

    Raises:
        InvalidSpecError: there is no class `background`.

    Example:
        >>> unsure = torch.zeros(2, 2)
        >>> Tversky(background=0).values(Items(unsure, torch.tensor([0, 1]))).round(decimals=3)  # spurious, missed
        tensor([0.1300, 0.1890])
    """

    name = "tversky"

    alpha: Annotated[float, Field(ge=0)] = 0.3
    beta: Annotated[float, Field(ge=0)] = 0.7
    smoothing: Annotated[float, Field(gt=0)] = 1.0
    background: NonNegativeInt | None = None

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        p = items.logits.softmax(dim=-1)
        y = torch.nn.functional.one_hot(items.targets, p.shape[-1]).to(p.dtype)
        there = p * y
        spurious, missed = p * (1 - y), (1 - p) * y
        index = (there + self.smoothing) / (there + self.alpha * spurious + self.beta * missed + self.smoothing)
        return ((1 - index) * self._counted(p)).sum(dim=-1)

    def _counted(self, p: Tensor) -> Tensor:
        """`[C]`: 0 for the background, 1 for every other class."""
        counted = p.new_ones(p.shape[-1])
        if self.background is not None:
            if self.background >= len(counted):
                raise InvalidSpecError(
                    f"background of the loss 'tversky' is {self.background!r}, but the classes are 0 to "
                    f"{len(counted) - 1}; write 0 for the tag O, or leave it out"
                )
            counted[self.background] = 0
        return counted
