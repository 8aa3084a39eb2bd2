"""Distillation: learn what a larger model thinks of every class."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from nlp_inference import Predictor, Processor
from nlp_inference.encoding.tokenization import plain_backend
from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.base_model import locate_base
from nlp_training.losses.base import AddedLoss, ClassLoss, Items, Loss
from nlp_training.losses.cross_entropy import CrossEntropy


class Distillation(AddedLoss):
    """`(1 - mix) L + mix w_y T^2 KL(p_teacher || p_student)` for an item of class `y`.

    `p = softmax(logits / T)` `[items, C]`, `L` is the loss that this adds to, and `w_y` the weight of the item in it.
    Hinton et al. (2015), https://arxiv.org/abs/1503.02531; `T^2` keeps the slopes of a size when `T` changes.

    When to use: a small model must be fast and a large one is already good. The teacher is a saved model of this
    library with the same task, labels and tokenizer. It is asked about the same windows, after the student's
    preprocessing, as production asks it, in float32.

    Args:
        teacher: its folder, its Hub id, or `package:NAME/FOLDER`.
        temperature: `T`; higher ones show more of what the teacher thinks of the wrong classes.
        mix: how much the teacher counts; at 1 gold counts nothing.
        revision: branch, tag or commit of a Hub id.
        loss: what this adds to.

    Example:
        >>> Loss.from_spec({"distillation": "org/large"}).to_spec()
        {'distillation': 'org/large'}
    """

    name = "distillation"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher_logits"})

    teacher: Annotated[str, Field(min_length=1)]
    temperature: Annotated[float, Field(gt=0)] = 2.0
    mix: Annotated[float, Field(gt=0, le=1)] = 0.5
    revision: str = "main"
    loss: ClassLoss = CrossEntropy()

    def inner(self) -> Loss:
        """What this adds to."""
        return self.loss

    def teacher_model(self, student: Processor, *, device: str) -> "Teacher":
        """Load the saved model that `teacher` names."""
        return Teacher(self, student=student, device=device)

    def values(self, items: Items) -> Tensor:
        """`[items]`."""
        teacher = (items.required("teacher_logits") / self.temperature).log_softmax(dim=-1)
        student = (items.logits / self.temperature).log_softmax(dim=-1)
        divergence = (teacher.exp() * (teacher - student)).sum(dim=-1) * self.temperature**2
        soft = self.weights(items.targets, items.class_weights) * divergence
        return (1 - self.mix) * self.loss.values(items) + self.mix * soft


class Teacher:
    """A saved model that is asked about the batches of a student.

    Args:
        loss: names the teacher.
        student: the processor that makes the batches.
        device: where the teacher runs, such as `"cuda:0"`.

    Raises:
        ArtefactError: there is no such model.
        InvalidSpecError: it has another task, other labels or another tokenizer, or reads shorter rows.
    """

    def __init__(self, loss: Distillation, *, student: Processor, device: str) -> None:
        predictor = Predictor.from_pretrained(locate_base(loss.teacher), device=device, revision=loss.revision)
        _check_fit(predictor.processor, student, name=loss.teacher)
        self.backend = predictor.backend

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Its `logits` for a batch `[rows, tokens]`, on the device of the batch, without gradients."""
        outputs = self.backend.forward({name: tensor.cpu().numpy() for name, tensor in inputs.items()})
        return torch.from_numpy(outputs["logits"]).to(inputs["input_ids"].device)


def _check_fit(teacher: Processor, student: Processor, *, name: str) -> None:
    classes, own = (one.task.model_settings().get("id2label") for one in (teacher, student))
    if teacher.task.name != student.task.name or classes != own:
        raise InvalidSpecError(
            f"the teacher {name!r} is a model for {teacher.task.name!r} with the classes {classes!r}, the student one "
            f"for {student.task.name!r} with {own!r}; train the student on the same labels in the same order, such as "
            "by naming them in processor.task"
        )
    if plain_backend(teacher.tokenizer).to_str() != plain_backend(student.tokenizer).to_str():
        raise InvalidSpecError(
            f"the teacher {name!r} has another tokenizer than the student, so that it cannot read the same rows; "
            "take a teacher or a model.base with the same tokenizer"
        )
    longest = teacher.tokenizer.model_max_length
    if student.layout.max_length > longest:
        raise InvalidSpecError(
            f"the teacher {name!r} reads {longest} tokens at most, the student's rows have up to "
            f"{student.layout.max_length}; set processor.windows.max_length to {longest}"
        )
