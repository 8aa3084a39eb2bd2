"""Supervised contrastive loss: similar states for items of the same class, different states for others."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import AddedLoss, ClassLoss, Items, Loss, Pooling
from nlp_training.losses.cross_entropy import CrossEntropy


class SupervisedContrastive(AddedLoss):
    """`(1 - mix) L + mix w_y S` for an item of class `y`, where `S` compares it with the others of its batch.

    `S_i = -1/|P_i| sum_{j in P_i} log(exp(z_i z_j / T) / sum_{k != i} exp(z_i z_k / T))`, with `P_i` the other items of
    the class of `i`, and 0 if there are none; `z` `[items, hidden]` are the encoder's last hidden states normalized to
    length 1, of each token with a target, or pooled over the row. `L` is the loss that this adds to, because the head
    must learn too, and `w_y` the weight of the item in it. Khosla et al. (2020), https://arxiv.org/abs/2004.11362,
    equation 2; mixed as by Gunel et al. (2021), https://arxiv.org/abs/2011.01403.

    When to use: text classification with few documents per class, or with noisy labels. Batches must be several times
    larger than the number of classes. Items are compared only within a batch: neither gradient accumulation nor more
    processes make `P_i` larger. On tokens, the cost is quadratic in the number of tokens of a batch.

    Args:
        temperature: `T`; lower values consider only the most similar items.
        mix: the weight of `S` relative to `L`.
        pooling: the state of a row: the `mean` of its tokens, or its `first` token.
        loss: the loss that this adds to.

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
        """Return the loss that this adds to."""
        return self.loss

    def state_pooling(self) -> Pooling:
        """Return the field `pooling`."""
        return self.pooling

    def values(self, items: Items) -> Tensor:
        """Return `[items]`."""
        same = items.targets[:, None] == items.targets
        compared = contrast(items.required("states"), same, temperature=self.temperature)
        weighted = self.weights(items.targets, items.class_weights) * compared
        return (1 - self.mix) * self.loss.values(items) + self.mix * weighted


def contrast(states: Tensor, same: Tensor, *, temperature: float) -> Tensor:
    """Return `[items]`, `S` of each item; see `SupervisedContrastive`.

    Args:
        states: `[items, hidden]`.
        same: `[items, items]`, whether two items should be similar; the diagonal is not read.
        temperature: `T`.
    """
    z = torch.nn.functional.normalize(states, dim=-1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, torch.finfo(z.dtype).min)
    positive = same & ~itself
    log_p = similarity - similarity.logsumexp(dim=-1, keepdim=True)
    of_positives = torch.where(positive, log_p, 0.0).sum(dim=-1)
    return -of_positives / positive.sum(dim=-1).clamp(min=1)
