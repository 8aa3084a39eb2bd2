"""Supervised contrastive loss: what has one label lies together, and apart from the rest."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import AddedLoss, ClassLoss, Items, Loss, Pooling
from nlp_training.losses.cross_entropy import CrossEntropy


class SupervisedContrastive(AddedLoss):
    """`(1 - mix) L + mix w_y S` for an item of class `y`, where `S` compares it with the others of its batch.

    `S_i = -1/|P_i| sum_{j in P_i} log(exp(z_i z_j / T) / sum_{k != i} exp(z_i z_k / T))`, with `P_i` the other items of
    the class of `i`, and 0 if there are none; `z` `[items, hidden]` are the encoder's last hidden states at length 1,
    of each token with a target, or pooled over the row. `L` is the loss that this adds to, since a head must learn too,
    and `w_y` the weight of the item in it. Khosla et al. (2020), https://arxiv.org/abs/2004.11362, equation 2; mixed
    as by Gunel et al. (2021), https://arxiv.org/abs/2011.01403.

    When to use: few documents a class, or noisy labels, in text classification; batches large enough that classes meet
    in them, several times the number of classes. Items meet only within a batch: neither accumulated gradients nor
    further processes make `P_i` larger. On tokens its cost grows with the square of the tokens of a batch.

    Args:
        temperature: `T`; lower ones look at the nearest only.
        mix: how much `S` counts beside `L`.
        pooling: the state of a row: the `mean` of its tokens, or its `first` one.
        loss: what this adds to.

    Example:
        >>> same = Items(torch.zeros(2, 2), torch.tensor([0, 0]), states=torch.eye(2))
        >>> SupervisedContrastive(mix=1.0).values(same)
        tensor([0., 0.])
    """

    name = "supervised_contrastive"
    needs: ClassVar[frozenset[str]] = frozenset({"states"})

    temperature: Annotated[float, Field(gt=0)] = 0.1
    mix: Annotated[float, Field(gt=0, le=1)] = 0.5
    pooling: Pooling = "mean"
    loss: ClassLoss = CrossEntropy()

    def inner(self) -> Loss:
        """What this adds to."""
        return self.loss

    def state_pooling(self) -> Pooling:
        """As the field `pooling` says."""
        return self.pooling

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        contrast = _contrast(items.required("states"), items.targets, temperature=self.temperature)
        weighted = self.weights(items.targets, items.class_weights) * contrast
        return (1 - self.mix) * self.loss.values(items) + self.mix * weighted


def _contrast(states: Tensor, targets: Tensor, *, temperature: float) -> Tensor:
    """`[items]`: `S` of each item."""
    z = torch.nn.functional.normalize(states, dim=-1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, torch.finfo(z.dtype).min)
    positive = (targets[:, None] == targets) & ~itself
    log_p = similarity - similarity.logsumexp(dim=-1, keepdim=True)
    of_positives = torch.where(positive, log_p, 0.0).sum(dim=-1)
    return -of_positives / positive.sum(dim=-1).clamp(min=1)
