"""R-Drop: two passes with different dropout must agree."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import AddedLoss, ClassLoss, Items, Loss
from nlp_training.losses.cross_entropy import CrossEntropy


class RDrop(AddedLoss):
    """`(L(a) + L(b)) / 2 + alpha w_y (KL(p_a || p_b) + KL(p_b || p_a)) / 2` for an item of class `y`.

    `a` and `b`, each `[items, C]`, are the logits of two forward passes of the same rows, computed as one pass of twice
    the batch; `p` is their softmax, `L` the loss that this adds to, and `w_y` the weight of the item in `L`. Liang et
    al. (2021), https://arxiv.org/abs/2106.14448, with the mean of both passes as in their code.

    When to use: few training documents and enough time, because a step takes twice as long. The model must have
    dropout; without it, both passes are equal, which is an error.

    Args:
        alpha: the weight of the agreement; the paper uses 1 to 5.
        loss: the loss that this adds to.

    Example:
        >>> Loss.from_spec({"r_drop": 4}).to_spec()
        {'r_drop': 4.0}
        >>> RDrop(loss={"focal": 3}).to_spec()
        {'r_drop': {'loss': {'focal': 3.0}}}
    """

    name = "r_drop"
    needs: ClassVar[frozenset[str]] = frozenset({"second_logits"})

    alpha: Annotated[float, Field(gt=0)] = 1.0
    loss: ClassLoss = CrossEntropy()

    def inner(self) -> Loss:
        """Return the loss that this adds to."""
        return self.loss

    def values(self, items: Items) -> Tensor:
        """Return `[items]`."""
        second = items.required("second_logits")
        log_a, log_b = items.logits.log_softmax(dim=-1), second.log_softmax(dim=-1)
        divergence = ((log_a.exp() - log_b.exp()) * (log_a - log_b)).sum(dim=-1) / 2
        agreement = self.alpha * self.weights(items.targets, items.class_weights) * divergence
        return (self.loss.values(items) + self.loss.values(replace(items, logits=second))) / 2 + agreement
