"""What a loss is: a number for each target of a batch, and how much each of them counts."""

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
"""Names in `Loss.needs` with a meaning of their own; any other name is that of a model output."""


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
            raise ValueError(f"this loss reads {name!r}, which was not given; a loss names what it reads in `needs`")
        return value


class TeacherModel(Protocol):
    """A second model whose logits a loss compares with those of the trained model."""

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits for a batch `[rows, tokens]`, on the device of the batch, without gradients."""


class Mixing(NamedTuple):
    """Which rows of a batch are mixed, and how.

    Attributes:
        share: the weight of the row itself, from 0.5 to 1.
        partners: for each row the index of the other row.
    """

    share: float
    partners: list[int]


class RowMixer(Protocol):
    """Mixes the rows of a batch before the forward pass."""

    def draw(self, rows: int) -> Mixing | None:
        """Draw how the next batch of `rows` rows is mixed; `None` if it is not."""

    def mixed(self, inputs: Mapping[str, Tensor], mixing: Mixing) -> dict[str, Tensor]:
        """Return the model inputs of the mixed rows."""


class Loss(Registered, ABC):
    """A loss. Subclasses are pydantic models; a run names them in its section `loss`, and no processor can hold one.

    The loss of a step is `sum(s * values) / sum(s * weights)` over all its items, those of every process and of every
    batch that gradients are accumulated over; `s` is the sample weight of the document, 1 where there are none.

    An installed package offers losses as entry points of the group `nlp_training.losses`.
    """

    kind = "loss"

    needs: ClassVar[frozenset[str]] = frozenset()
    """What it reads beside the logits: `second_logits`, `states`, `teacher_logits`, or the name of a model output whose
    first axes are those of the targets."""
    multi_label: ClassVar[bool] = False
    """Whether the targets are 0 and 1 for each label, and not the id of one class."""
    numeric: ClassVar[bool] = False
    """Whether the targets are numbers of the shape of the logits, NaN where there is none."""
    outermost: ClassVar[bool] = False
    """Whether it changes the rows that the model reads, so that no loss can add to it."""
    reads_embeddings: ClassVar[bool] = False
    """Whether it runs the embedding layer of the model by itself, which weights in shards do not allow."""

    @abstractmethod
    def values(self, items: Items) -> Tensor:
        """`[items]`, the loss of each item, its class weight included."""

    def weights(self, targets: Tensor, class_weights: Tensor | None) -> Tensor:
        """`[items]`, how much each item counts in the mean; known before the model is asked.

        Args:
            targets: `[items]`.
            class_weights: as `Items` has them. Those of a multi-label loss weigh present labels in the sum, and not in
                the count, as `pos_weight` of PyTorch does.
        """
        if class_weights is None or self.multi_label:
            return torch.ones(targets.shape, device=targets.device)
        return class_weights[targets]

    def class_weighting(self) -> ClassWeights | None:
        """How classes are weighted, if they are."""
        return None

    def parts(self) -> tuple["Loss", ...]:
        """This loss and those that it adds to."""
        return (self,)

    def state_pooling(self) -> Pooling:
        """How the `states` of a row are pooled where each row has one target."""
        return "mean"

    def teacher_model(self, student: Processor, *, device: str) -> TeacherModel | None:  # noqa: ARG002 - most have none
        """Load the model whose logits are the `teacher_logits`; `None` if the loss has none.

        Args:
            student: the processor that makes the batches.
            device: where the teacher runs, such as `"cuda:0"`.

        Raises:
            InvalidSpecError: the teacher does not fit the student.
        """
        return None

    def row_mixer(self, model: torch.nn.Module, *, seed: str, step: Callable[[], int]) -> RowMixer | None:  # noqa: ARG002
        """Return what mixes the rows of batches for this loss; `None` if nothing does.

        Args:
            model: to be trained.
            seed: of what is drawn; another one in every process.
            step: returns the number of steps that were trained.

        Raises:
            InvalidSpecError: the model does not fit.
        """
        return None


def _of_class_ids(loss: Loss) -> Loss:
    if loss.multi_label:
        raise ValueError(f"{loss.name!r} reads several labels a text, but here stands a loss that reads one class")
    if loss.numeric:
        raise ValueError(f"{loss.name!r} reads numbers; choose a loss that reads the id of one class")
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
