"""Binary cross entropy of each label: with label smoothing, with weights of labels that are present."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import Items, Loss
from nlp_training.losses.class_weights import ClassWeights, OptionalClassWeights


class BinaryCrossEntropy(Loss):
    """`-w y log p - (1 - y) log(1 - p)` for each label of each row, with `p = sigmoid(logits)`.

    Every label of every row is an item, and the loss is the mean over all items, so that without settings this is the
    loss that models of transformers have for several labels. With smoothing `y (1 - e) + e / 2` stands for `y`. The
    weights `w` are the `pos_weight` of `torch.nn.functional.binary_cross_entropy_with_logits`: they raise the recall of
    rare labels, cost precision, and move probabilities away from frequencies.

    When to use: a text has several labels, and some are wrong (`label_smoothing`) or rare (`class_weights`).

    Args:
        label_smoothing: `e`; absent labels get the target `e / 2`, so keep it small where most labels are absent.
        class_weights: `inverse_frequency`, `{effective_number: beta}`, or `None`; counted on the training documents.

    Example:
        >>> logits, present = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])
        >>> BinaryCrossEntropy().values(Items(logits, present)).round(decimals=4)
        tensor([0.6931, 0.6931])
        >>> BinaryCrossEntropy().values(Items(logits, present, torch.tensor([2.0, 2.0]))).round(decimals=4)
        tensor([1.3863, 0.6931])
    """

    name = "binary_cross_entropy"
    multi_label: ClassVar[bool] = True

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: OptionalClassWeights = None

    def class_weighting(self) -> ClassWeights | None:
        """The rule that the field `class_weights` names."""
        return self.class_weights

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        targets = items.targets.to(items.logits.dtype)
        return torch.nn.functional.binary_cross_entropy_with_logits(
            items.logits,
            targets * (1 - self.label_smoothing) + self.label_smoothing / 2,
            pos_weight=items.class_weights,
            reduction="none",
        )
