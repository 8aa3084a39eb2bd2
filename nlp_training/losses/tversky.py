"""Tversky loss: overlap with different weights for false positives and false negatives."""

from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor

from nlp_inference.errors import InvalidSpecError
from nlp_training.losses.base import Items, Loss


class Tversky(Loss):
    """The sum over classes of `1 - (p y + g) / (p y + alpha p (1 - y) + beta (1 - p) y + g)` for an item.

    `p = softmax(logits)` `[items, C]`, `y` is one-hot, both of the class `c`. Salehi et al. (2017),
    https://arxiv.org/abs/1706.05721, in the form of Li et al. (2020), https://arxiv.org/abs/1911.02855, who compute it
    for each item, whereas Salehi et al. sum over an image. The loss of a step therefore does not depend on how it is
    divided into batches. `alpha` is the weight of false positives, `beta` that of false negatives; with 0.5 for both,
    it is the Dice coefficient.

    When to use: a false negative is worse than a false positive (or, with `alpha` above `beta`, the reverse). Set
    `background: 0` for tags: a false negative of a label is a false positive of `O`, so with `O` in the sum, both
    weights have nearly the same effect. If nearly all tags are `O`, it does not learn from scratch, because predicting
    no spans costs almost nothing (WNUT-17: F1 0): try cross entropy with class weights, or focal loss, first.

    Args:
        alpha: the weight of false positives.
        beta: the weight of false negatives; the paper finds 0.7 best, with an alpha of 0.3.
        smoothing: `g`, which prevents the fraction 0 / 0.
        background: the id of the background class, which has no term in the sum: 0 for the tag `O`.

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
        """Return `[items]`."""
        p = items.logits.softmax(dim=-1)
        y = torch.nn.functional.one_hot(items.targets, p.shape[-1]).to(p.dtype)
        found = p * y
        spurious, missed = p * (1 - y), (1 - p) * y
        index = (found + self.smoothing) / (found + self.alpha * spurious + self.beta * missed + self.smoothing)
        return ((1 - index) * self._counted(p)).sum(dim=-1)

    def _counted(self, p: Tensor) -> Tensor:
        """Return `[C]`, 0 for the background and 1 for every other class."""
        counted = p.new_ones(p.shape[-1])
        if self.background is not None:
            if self.background >= len(counted):
                raise InvalidSpecError(
                    f"background of the loss 'tversky' is {self.background!r}, but the classes are 0 to "
                    f"{len(counted) - 1}; write 0 for the tag O, or remove it"
                )
            counted[self.background] = 0
        return counted
