"""Losses of numbers: the mean squared error, and the Huber loss, which outliers affect less."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from nlp_training.losses.base import Items, Loss


class MeanSquaredError(Loss):
    """`(logit - target)²` of each number that is annotated, the default loss of the task `text-regression`.

    Targets are scaled as the task says, so that values of different units count alike. When to use: first of all. A
    target that is far from the others, such as a typing mistake, has a large effect; then use `huber`.

    Example:
        >>> items = Items(torch.tensor([0.5, 2.0]), torch.tensor([0.0, 4.0]))
        >>> MeanSquaredError().values(items)
        tensor([0.2500, 4.0000])
    """

    name = "mean_squared_error"
    numeric: ClassVar[bool] = True

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        return torch.nn.functional.mse_loss(items.logits, items.targets, reduction="none")


class Huber(Loss):
    """`e² / 2` for an error `e` of at most `delta`, and `delta (|e| - delta / 2)` for a larger one.

    Huber (1964), https://doi.org/10.1214/aoms/1177703732. When to use: some targets are far from the others or wrong.
    A small `delta` makes it the mean absolute error times `delta`.

    Args:
        delta: the error from which on the loss grows linearly, in units of the scaled targets.

    Example:
        >>> items = Items(torch.tensor([0.5, 2.0]), torch.tensor([0.0, 4.0]))
        >>> Huber(delta=1).values(items)
        tensor([0.1250, 1.5000])
    """

    name = "huber"
    numeric: ClassVar[bool] = True

    delta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        return torch.nn.functional.huber_loss(items.logits, items.targets, reduction="none", delta=self.delta)
