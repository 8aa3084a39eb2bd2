"""Distillation: learn the class probabilities of a larger model."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor

from nlp_inference import Predictor, Processor
from nlp_inference.backends.descriptors import REFERENCE
from nlp_inference.encoding.tokenization import plain_backend
from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.base_model import locate_base
from nlp_training._utils.layer_stacks import layer_stacks
from nlp_training.losses.base import AddedLoss, ClassLoss, Items, Loss
from nlp_training.losses.cross_entropy import CrossEntropy
from nlp_training.losses.layer_outputs import LayerOutputs


class Distillation(AddedLoss):
    """`(1 - mix) L + mix w_y T^2 KL(p_teacher || p_student)` for an item of class `y`.

    `p = softmax(logits / T)` `[items, C]`, `L` is the loss that this adds to, and `w_y` the weight of the item in it.
    Hinton et al. (2015), https://arxiv.org/abs/1503.02531; `T^2` keeps the scale of the gradients when `T` changes.

    When to use: a small model must be fast, and a large one is already good. The teacher is a saved model of this
    library with the same task, labels and tokenizer. It runs on the same windows, after the student's preprocessing, as
    in production.

    Args:
        teacher: its folder, its Hub id, or `package:NAME/FOLDER`.
        temperature: `T`; higher values emphasize the teacher's probabilities of the wrong classes.
        mix: the weight of the teacher; with 1, gold has no effect.
        revision: branch, tag or commit of a Hub id.
        dtype: the precision of the teacher; `bfloat16` is faster on processors that have it.
        loss: the loss that this adds to.

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
    dtype: str = "float32"
    loss: ClassLoss = CrossEntropy()

    def inner(self) -> Loss:
        """Return the loss that this adds to."""
        return self.loss

    def teacher_model(self, student: Processor, *, device: str) -> "Teacher":
        """Load the saved model that `teacher` names."""
        if "logits" not in student.task.outputs:
            raise InvalidSpecError(
                "the loss 'distillation' reads the logits of a teacher, and predictions of the task "
                f"{student.task.name!r} have none; choose another loss, or the section `distillation`"
            )
        return Teacher(self.teacher, revision=self.revision, dtype=self.dtype, student=student, device=device)

    def values(self, items: Items) -> Tensor:
        """Return `[items]`."""
        teacher = (items.required("teacher_logits") / self.temperature).log_softmax(dim=-1)
        student = (items.logits / self.temperature).log_softmax(dim=-1)
        divergence = (teacher.exp() * (teacher - student)).sum(dim=-1) * self.temperature**2
        soft = self.weights(items.targets, items.class_weights) * divergence
        return (1 - self.mix) * self.loss.values(items) + self.mix * soft


class TeacherOutputs(NamedTuple):
    """What a teacher computes for a batch, without gradients, on the device of the batch.

    Attributes:
        outputs: the model outputs by name, each with a first axis `rows`.
        hidden_states: for each stack of layers, those after each layer, `[rows, tokens, hidden]`; empty unless they
            are kept.
        attentions: for each stack of an encoder, the attention weights of each layer, `[rows, heads, tokens, tokens]`;
            empty unless they are kept.
    """

    outputs: Mapping[str, Tensor]
    hidden_states: Mapping[str, Sequence[Tensor]]
    attentions: Mapping[str, Sequence[Tensor]]


class Teacher:
    """A saved model that runs on the batches of a student, once for each batch.

    Args:
        name: its folder, its Hub id, or `package:NAME/FOLDER`.
        revision: branch, tag or commit of a Hub id.
        dtype: its precision.
        student: the processor that makes the batches.
        device: where the teacher runs, such as `"cuda:0"`.

    Attributes:
        source: its name, revision and precision.
        stacks: its layers; see `layer_stacks`.

    Raises:
        ArtefactError: there is no such model.
        InvalidSpecError: it has another task, other labels or another tokenizer, or reads shorter rows.
    """

    def __init__(
        self, name: str, *, revision: str = "main", dtype: str = "float32", student: Processor, device: str
    ) -> None:
        predictor = Predictor.from_pretrained(
            locate_base(name), backend=REFERENCE, device=device, revision=revision, dtype=dtype
        )
        _check_fit(predictor.processor, student, name=name)
        self.source = name, revision, dtype
        self.backend = cast("Any", predictor.backend)  # that of PyTorch, which has the model
        self.stacks = layer_stacks(self.backend.model)
        self._last: tuple[Tensor, TeacherOutputs] | None = None
        self._layers = LayerOutputs(self.backend.model, {})

    def keep_layers(self, *, attentions: bool) -> None:
        """Keep the hidden states of layers, and on request their attention weights, in all later runs."""
        self._layers = LayerOutputs(self.backend.model, self.stacks, attentions=attentions)

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return its logits for a batch `[rows, tokens]`, on the device of the batch, without gradients."""
        return self.run(inputs).outputs["logits"]

    def run(self, inputs: Mapping[str, Tensor]) -> TeacherOutputs:
        """Return its outputs and those of its layers for a batch; a second call with the same tensors runs no model.

        Args:
            inputs: the model inputs, `[rows, tokens]` each, and those of a decoder.
        """
        key = inputs["input_ids"]
        if self._last is None or self._last[0] is not key:
            device = self.backend.device
            with torch.no_grad(), self._layers:
                found = self.backend.model(**{name: tensor.to(device) for name, tensor in inputs.items()})
            outputs = {name: _single(one, key) for name, one in found.items() if isinstance(one, Tensor)}
            hidden_states, attentions = (
                {name: [_single(one, key) for one in of] for name, of in kept.items()}
                for kept in (self._layers.hidden_states, self._layers.attentions)
            )
            self._last = key, TeacherOutputs(outputs, hidden_states, attentions)
        return self._last[1]


def _single(tensor: Tensor, other: Tensor) -> Tensor:
    """Return a tensor on the device of another one, in single precision if it has floating-point numbers."""
    return tensor.to(other.device, torch.float32) if tensor.is_floating_point() else tensor.to(other.device)


def _check_fit(teacher: Processor, student: Processor, *, name: str) -> None:
    classes, own = (one.task.model_settings().get("id2label") for one in (teacher, student))
    if teacher.task.name != student.task.name or classes != own:
        raise InvalidSpecError(
            f"the teacher {name!r} is a model for {teacher.task.name!r} with the classes {classes!r}, the student is a "
            f"model for {student.task.name!r} with {own!r}; train the student on the same labels in the same order, "
            "for example by listing them in processor.task"
        )
    if plain_backend(teacher.tokenizer).to_str() != plain_backend(student.tokenizer).to_str():
        raise InvalidSpecError(
            f"the teacher {name!r} has another tokenizer than the student, so it cannot read the same rows; "
            "choose a teacher or a model.base with the same tokenizer"
        )
    longest = teacher.tokenizer.model_max_length
    if student.layout.max_length > longest:
        raise InvalidSpecError(
            f"the teacher {name!r} reads at most {longest} tokens, but the student's rows have up to "
            f"{student.layout.max_length}; set processor.windows.max_length to {longest}"
        )
