"""The loss of several heads: a weighted sum of the losses of each."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator
from torch import Tensor

from nlp_training.losses.base import Items, Loss

HeadLoss = Annotated[Loss, BeforeValidator(Loss.from_spec), PlainSerializer(lambda loss: loss.to_spec())]
"""The loss of a head, serialized as its specification."""


class HeadsLoss(Loss):
    """The sum of the losses of the heads of a `multi-task` model, each with its weight.

    The loss of a head is the mean over its own targets of the step, so a head with gold for few documents counts as
    much as the others. `fixed` multiplies it by `weights` of the task. `uncertainty` also learns a weight: with the log
    variance `s` of a head, its loss `L` counts `exp(-s) L + s / 2`, or `exp(-s) L / 2 + s / 2` for numbers (Kendall et
    al., 2018, https://arxiv.org/abs/1705.07115). Log variances start at 0. They are saved in checkpoints, but not in
    the trained model.

    Args:
        losses: the loss of each head that does not use the default of its task. They may only read logits.
        weighting: how the losses are weighted.

    Example:
        >>> Loss.from_spec({"heads": {"losses": {"slots": {"focal": 1}}}}).to_spec()
        {'heads': {'losses': {'slots': {'focal': 1.0}}}}
    """

    name = "heads"
    of_heads: ClassVar[bool] = True

    losses: dict[str, HeadLoss] = Field(default_factory=dict)
    weighting: Literal["fixed", "uncertainty"] = "fixed"

    @field_validator("losses")
    @classmethod
    def _check_losses(cls, losses: dict[str, Loss]) -> dict[str, Loss]:
        for head, loss in losses.items():
            for part in loss.parts():
                if part.needs or part.outermost or part.of_heads:
                    raise ValueError(f"{part.name!r} cannot be the loss of the head {head!r}; choose one of logits")
        return losses

    def values(self, items: Items) -> Tensor:
        """Raise an error: targets belong to one head each, whose loss computes their values."""
        raise TypeError(f"the loss 'heads' computes no values, got {len(items.targets)} targets")
