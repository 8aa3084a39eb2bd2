"""What a loss is: a number for each target of a batch, and how much each of them counts."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import BeforeValidator, PlainSerializer, model_validator
from torch import Tensor

from nlp_inference.registry import Registered
from nlp_training.losses.class_weights import ClassWeights

Extra = Literal["second_logits", "teacher_logits", "states"]
"""What a loss may ask for beside the logits."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """The targets of a batch that are not `IGNORED`, with what the model says of each.

    Attributes:
        logits: `[items, classes]`, or `[items]` for a multi-label loss, of which every label of every row is an item.
        targets: `[items]`, class ids, or 0 and 1 for a multi-label loss.
        class_weights: `[classes]`, or `None` where all classes count alike.
        second_logits: like `logits`, of a second forward pass with other dropout.
        teacher_logits: like `logits`, of the teacher.
        states: `[items, hidden]`, the encoder's last hidden states: of the token, or of the whole row, pooled.
    """

    logits: Tensor
    targets: Tensor
    class_weights: Tensor | None = None
    second_logits: Tensor | None = None
    teacher_logits: Tensor | None = None
    states: Tensor | None = None

    def asked_for(self, name: Extra) -> Tensor:
        """What a loss asked for by `needs`.

        Raises:
            ValueError: nobody gave it.
        """
        value: Tensor | None = getattr(self, name)
        if value is None:
            raise ValueError(f"this loss reads {name!r}, which was not given; a loss names what it reads in `needs`")
        return value


class Loss(Registered, ABC):
    """A loss. Subclasses are pydantic models; a run names them in its section `loss`, and no processor can hold one.

    The loss of a step is `sum(s * values) / sum(s * weights)` over all its items, those of every process and of every
    batch that gradients are accumulated over; `s` is the sample weight of the document, 1 where there are none.

    An installed package offers losses as entry points of the group `nlp_training.losses`.
    """

    kind = "loss"

    needs: ClassVar[frozenset[Extra]] = frozenset()
    """What it reads beside the logits."""
    multi_label: ClassVar[bool] = False
    """Whether the targets are 0 and 1 for each label, and not the id of one class."""
    outermost: ClassVar[bool] = False
    """Whether it changes the rows that the model reads, so that no loss can add to it."""

    @abstractmethod
    def values(self, items: Items) -> Tensor:
        """`[items]`, the loss of each item, its class weight included."""

    def weights(self, targets: Tensor, class_weights: Tensor | None) -> Tensor:
        """`[items]`, how much each item counts in the mean; known before the model is asked.

        Args:
            targets: `[items]`.
            class_weights: `[classes]`, or `None` where all classes count alike.
        """
        if class_weights is None:
            return torch.ones(targets.shape, device=targets.device)
        return class_weights[targets]

    def class_weighting(self) -> ClassWeights | None:
        """How classes are weighted, if they are."""
        return None

    def parts(self) -> tuple["Loss", ...]:
        """This loss and those that it adds to."""
        return (self,)


def _of_class_ids(loss: Loss) -> Loss:
    if loss.multi_label:
        raise ValueError(f"{loss.name!r} reads several labels a text, but here stands a loss that reads one class")
    return loss


ClassLoss = Annotated[
    Loss,
    BeforeValidator(lambda spec: _of_class_ids(Loss.from_spec(spec))),
    PlainSerializer(lambda loss: loss.to_spec()),
]
"""A field that holds another loss of class ids, written as its specification."""


class AddedLoss(Loss, ABC):
    """A loss that adds something to another one, `inner`, and counts items as that one does."""

    @abstractmethod
    def inner(self) -> Loss:
        """What this adds to."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        for part in self.inner().parts():
            if part.name == self.name:
                raise ValueError(f"{self.name!r} stands inside {self.name!r}; leave one of them out")
            if part.outermost:
                raise ValueError(
                    f"{part.name!r} mixes the rows of a batch, so it cannot stand inside {self.name!r}; choose one"
                )
        return self

    def class_weighting(self) -> ClassWeights | None:
        """The rule of the loss that this adds to."""
        return self.inner().class_weighting()

    def parts(self) -> tuple[Loss, ...]:
        """This loss, and the parts of the one that it adds to."""
        return (self, *self.inner().parts())

    def weights(self, targets: Tensor, class_weights: Tensor | None) -> Tensor:
        """Those of the loss that this adds to."""
        return self.inner().weights(targets, class_weights)
