"""The interface of losses: a value and a weight for each target of a batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol, Self

import torch
from pydantic import BeforeValidator, PlainSerializer, model_validator
from torch import Tensor

from nlp_inference import Processor
from nlp_inference.registry import Registered
from nlp_training.losses.class_weights import ClassWeights

Pooling = Literal["mean", "first"]
"""The mean of the tokens of a row, or its first token."""

NEEDS = ("second_logits", "states", "teacher_logits")
"""Names in `Loss.needs` with a special meaning; any other name is that of a model output."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """The targets of a batch that are not `IGNORED` (integers) or NaN (floats), with the model outputs for each.

    Attributes:
        logits: `[items, classes]`, or `[items]` for a multi-label or numeric loss, of which every label or number of
            every row is an item.
        targets: `[items]`, class ids, 0 and 1 for a multi-label loss, or numbers for a numeric one.
        class_weights: `[classes]`, or for a multi-label loss `[items]`, the weight of the item's label where it is
            present; `None` where all classes count alike.
        second_logits: like `logits`, of a second forward pass with other dropout.
        teacher_logits: like `logits`, of the teacher.
        states: `[items, hidden]`, the last hidden states of the encoder: of the token, or pooled over the row.
        outputs: other model outputs by name, each `[items, ...]`.
    """

    logits: Tensor
    targets: Tensor
    class_weights: Tensor | None = None
    second_logits: Tensor | None = None
    teacher_logits: Tensor | None = None
    states: Tensor | None = None
    outputs: Mapping[str, Tensor] = field(default_factory=dict)

    def required(self, name: str) -> Tensor:
        """Return a tensor that the loss names in `needs`.

        Raises:
            ValueError: it is missing.
        """
        value: Tensor | None = getattr(self, name) if name in NEEDS else self.outputs.get(name)
        if value is None:
            raise ValueError(f"this loss reads {name!r}, which is missing; add it to the `needs` of the loss")
        return value


class TeacherModel(Protocol):
    """A second model whose logits a loss compares with those of the trained model."""

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits for a batch `[rows, tokens]`, on the device of the batch, without gradients."""


class Mixing(NamedTuple):
    """The rows of a batch to mix, and their weights.

    Attributes:
        share: the weight of the row itself, from 0.5 to 1.
        partners: for each row, the index of the other row.
    """

    share: float
    partners: list[int]


class RowMixer(Protocol):
    """Mixes the rows of a batch before the forward pass."""

    def draw(self, rows: int) -> Mixing | None:
        """Draw how to mix the next batch of `rows` rows; `None` if it is not mixed."""

    def mixed(self, inputs: Mapping[str, Tensor], mixing: Mixing) -> dict[str, Tensor]:
        """Return the model inputs of the mixed rows."""


class Loss(Registered, ABC):
    """A loss. Subclasses are pydantic models; a run configures them in its section `loss`, processors contain none.

    The loss of a step is `sum(s * values) / sum(s * weights)` over all its items, including those of every process and
    of every batch of gradient accumulation; `s` is the sample weight of the document, 1 by default.

    Installed packages register losses as entry points of the group `nlp_training.losses`.
    """

    kind = "loss"

    needs: ClassVar[frozenset[str]] = frozenset()
    """The inputs in addition to the logits: `second_logits`, `states`, `teacher_logits`, or the name of a model output
    whose first axes are those of the targets."""
    multi_label: ClassVar[bool] = False
    """Whether the targets are 0 and 1 for each label, instead of the id of one class."""
    numeric: ClassVar[bool] = False
    """Whether the targets are numbers of the shape of the logits, NaN where there is none."""
    outermost: ClassVar[bool] = False
    """Whether it changes the rows that the model reads, so no other loss can add to it."""
    of_heads: ClassVar[bool] = False
    """Whether it is the loss of a task with several heads, which `nlp_training.trainer.heads_loss` computes."""
    reads_embeddings: ClassVar[bool] = False
    """Whether it calls the embedding layer of the model directly, which sharded weights do not support."""

    @abstractmethod
    def values(self, items: Items) -> Tensor:
        """Return `[items]`, the loss of each item, including its class weight."""

    def weights(self, targets: Tensor, class_weights: Tensor | None) -> Tensor:
        """Return `[items]`, the weight of each item in the mean, which is known before the forward pass.

        Args:
            targets: `[items]`.
            class_weights: as `Items` has them. Those of a multi-label loss weigh present labels in the sum, and not in
                the count, as `pos_weight` of PyTorch does.
        """
        if class_weights is None or self.multi_label:
            return torch.ones(targets.shape, device=targets.device)
        return class_weights[targets]

    def class_weighting(self) -> ClassWeights | None:
        """Return the rule of the class weights; `None` if classes are not weighted."""
        return None

    def parts(self) -> tuple["Loss", ...]:
        """Return this loss and those that it adds to."""
        return (self,)

    def state_pooling(self) -> Pooling:
        """Return how to pool the `states` of a row if each row has one target."""
        return "mean"

    def teacher_model(self, student: Processor, *, device: str) -> TeacherModel | None:  # noqa: ARG002 - most have none
        """Load the model whose logits are the `teacher_logits`; `None` if the loss has none.

        Args:
            student: the processor that makes the batches.
            device: where the teacher runs, such as `"cuda:0"`.

        Raises:
            InvalidSpecError: the teacher is not compatible with the student.
        """
        return None

    def row_mixer(self, model: torch.nn.Module, *, seed: str, step: Callable[[], int]) -> RowMixer | None:  # noqa: ARG002
        """Return the mixer of the rows of batches; `None` if the loss does not mix rows.

        Args:
            model: the model to train.
            seed: the seed, which differs between processes.
            step: returns the number of completed steps.

        Raises:
            InvalidSpecError: the model is not suitable.
        """
        return None


def _of_class_ids(loss: Loss) -> Loss:
    if loss.multi_label:
        raise ValueError(f"{loss.name!r} is a multi-label loss, expected a loss of one class per item")
    if loss.numeric:
        raise ValueError(f"{loss.name!r} reads numbers, expected a loss of one class per item")
    return loss


ClassLoss = Annotated[
    Loss,
    BeforeValidator(lambda spec: _of_class_ids(Loss.from_spec(spec))),
    PlainSerializer(lambda loss: loss.to_spec()),
]
"""A field with another loss of class ids, serialized as its specification."""


class AddedLoss(Loss, ABC):
    """A loss that adds a term to another loss, `inner`, and weights items in the same way."""

    @abstractmethod
    def inner(self) -> Loss:
        """Return the loss that this adds to."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        for part in self.inner().parts():
            if part.name == self.name:
                raise ValueError(f"{self.name!r} contains another {self.name!r}; remove one of them")
            if part.outermost:
                raise ValueError(
                    f"{part.name!r} mixes the rows of a batch, so it cannot be inside {self.name!r}; choose one"
                )
        return self

    def class_weighting(self) -> ClassWeights | None:
        """Return the rule of the loss that this adds to."""
        return self.inner().class_weighting()

    def parts(self) -> tuple[Loss, ...]:
        """Return this loss and the parts of the loss that it adds to."""
        return (self, *self.inner().parts())

    def weights(self, targets: Tensor, class_weights: Tensor | None) -> Tensor:
        """Return the weights of the loss that this adds to."""
        return self.inner().weights(targets, class_weights)
