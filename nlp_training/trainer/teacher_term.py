"""The part of the training loss that compares outputs and layers with those of a teacher, for every task."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nlp_inference import Processor
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.layer_stacks import is_decoder, layer_stacks
from nlp_training.config import DistillationSettings
from nlp_training.losses.distillation import Teacher, TeacherOutputs
from nlp_training.losses.layer_outputs import LayerOutputs

_SUBJECTS = {"outputs": "the outputs", "hidden_states": "the hidden states", "attentions": "the attention weights"}
"""The parts of the term by the names of their weights, in words."""

_MASKED = -1e4
"""Outputs of a teacher below this are masked positions, not predictions."""


class TeacherTerm:
    """Computes a weighted sum of `e(outputs)`, `mean(e(hidden states))` and `mean(e(attentions))` for the batches.

    `e(s, t) = sum((s - t)^2) / sum((t - mean(t))^2)` over the tokens that are not padding; for attention weights, whose
    padded columns are 0, the divisor is `sum(t^2)`. The squared difference of logits: Kim et al. (2021),
    https://arxiv.org/abs/2105.08919; of hidden states and attention: Jiao et al. (2020, TinyBERT),
    https://arxiv.org/abs/1909.10351, which compares attention before the softmax. Dropout of attention weights adds to
    their error: set it to 0.

    Args:
        settings: the section `distillation` of a run.
        processor: makes the batches.
        model: the student, without wrappers.
        loss: the loss of the run, whose teacher is used if it is the same.
        device: where the teacher runs.

    Raises:
        ArtefactError: there is no such teacher.
        InvalidSpecError: the teacher or the loss does not fit the student.
    """

    def __init__(
        self, settings: DistillationSettings, *, processor: Processor, model: Any, loss: Any, device: str
    ) -> None:
        self.settings = settings
        self._task = processor.task
        self._inputs = tuple(processor.collate([]))
        if getattr(loss, "mixer", None) is not None:
            raise InvalidSpecError(
                f"the loss {loss.loss.name!r} mixes rows, which a teacher of hidden states does not read; remove it or "
                "the section distillation"
            )
        source = settings.teacher, settings.revision, settings.dtype
        shared = getattr(loss, "teacher", None)
        self.teacher = (
            shared
            if isinstance(shared, Teacher) and shared.source == source
            else Teacher(source[0], revision=source[1], dtype=source[2], student=processor, device=device)
        )
        if settings.hidden_states or settings.attentions:
            self.teacher.keep_layers(attentions=settings.attentions > 0)
        self._weights = {part: weight for part in _SUBJECTS if (weight := getattr(settings, part))}
        self._sums = dict.fromkeys(self._weights, 0.0)
        self._count = 0
        self.take_model(model)

    def take_model(self, model: Any) -> None:
        """Compare the layers of another model from now on.

        Raises:
            InvalidSpecError: its layers do not fit those of the teacher.
        """
        self._model = model
        compared = self.settings.hidden_states or self.settings.attentions
        stacks = layer_stacks(model) if compared else {}
        if compared and stacks.keys() != self.teacher.stacks.keys():
            raise InvalidSpecError(
                f"the layers of the teacher are {', '.join(self.teacher.stacks) or 'shared'}, those of the student "
                f"{', '.join(stacks) or 'shared'}; set distillation.hidden_states and distillation.attentions to 0, or "
                "choose another teacher"
            )
        if compared and not stacks:
            raise InvalidSpecError(
                f"{type(model).__name__} has no separate layers to compare; set distillation.hidden_states and "
                "distillation.attentions to 0"
            )
        if self.settings.attentions and all(map(is_decoder, stacks)):
            raise InvalidSpecError(f"{type(model).__name__} has no encoder; set distillation.attentions to 0")
        first = next(iter(stacks), None)
        self._targets = {
            name: target_layers(
                len(stack), len(self.teacher.stacks[name]), self.settings.layers if name == first else None
            )
            for name, stack in stacks.items()
        }
        self._layers = LayerOutputs(model, stacks, attentions=self.settings.attentions > 0)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep what the layers of the student return while it runs in this context."""
        with self._layers:
            yield

    def __call__(self, batch: Mapping[str, Tensor], outputs: Any) -> Tensor:
        """Return the term, `[]`.

        Args:
            batch: the rows that the student has just read in `watching`, with their targets.
            outputs: the outputs of the student.
        """
        inputs = {name: batch[name] for name in self._inputs}
        labels = batch.get("labels")
        if labels is not None:
            inputs |= self._task.decoder_inputs(self._model, labels)
        found = self.teacher.run(inputs)
        mask = batch["attention_mask"].bool()
        written = mask if labels is None else labels != IGNORED
        masks = {name: written if is_decoder(name) else mask for name in self.teacher.stacks}
        errors = {
            "outputs": lambda: self._of_outputs(found.outputs, outputs, mask, written),
            "hidden_states": lambda: self._of_layers("hidden_states", found, masks),
            "attentions": lambda: self._of_layers("attentions", found, masks),
        }
        term = torch.zeros((), device=mask.device)
        for part, weight in self._weights.items():
            error = errors[part]()
            self._sums[part] += float(error.detach())
            term = term + weight * error
        self._count += 1
        return term

    def _of_outputs(self, teacher: Mapping[str, Tensor], student: Any, mask: Tensor, written: Tensor) -> Tensor:
        """Return the mean error of the outputs that are numbers of both models."""
        names = [name for name in teacher if name in student and teacher[name].is_floating_point()]
        names = [name for name in names if name in self._task.outputs] or [name for name in names if "logits" in name]
        errors = []
        for name in names:
            target = teacher[name].float()
            one = student[name][: len(target)].float()
            if one.shape == target.shape:
                errors.append(_error(one, target, _positions(target, mask, written), part="outputs"))
        return torch.stack(errors).mean() if errors else torch.zeros((), device=mask.device)

    def _of_layers(self, part: str, teacher: TeacherOutputs, masks: Mapping[str, Tensor]) -> Tensor:
        """Return the mean error of the hidden states or of the attention weights of all layers."""
        errors = []
        for name, kept in getattr(self._layers, part).items():
            for one, target in zip(kept, self._targets[name], strict=True):
                pair = one[: len(masks[name])], getattr(teacher, part)[name][target]
                if part == "attentions":  # the tokens that attend are the second axis, as in hidden states
                    pair = pair[0].transpose(1, 2), pair[1].transpose(1, 2)
                errors.append(_error(*pair, masks[name], part=part))
        return torch.stack(errors).mean()

    def log_values(self) -> dict[str, float]:
        """Return the mean errors since the last call, to log with the loss."""
        count, self._count = max(1, self._count), 0
        values = {f"{name}_error": value / count for name, value in self._sums.items()}
        self._sums = dict.fromkeys(self._weights, 0.0)
        return values


def target_layers(count: int, of_teacher: int, given: Sequence[int] | None = None) -> list[int]:
    """Return for each layer of a student the layer of the teacher whose states it learns.

    Args:
        count: the number of layers of the student.
        of_teacher: the number of layers of the teacher.
        given: the layers that the user states.

    Raises:
        InvalidSpecError: the stated layers do not fit.

    Example:
        >>> target_layers(3, 6), target_layers(2, 12)
        ([1, 3, 5], [5, 11])
    """
    if given is None:
        return [round((index + 1) * of_teacher / count) - 1 for index in range(count)]
    if len(given) != count or any(one >= of_teacher for one in given):
        raise InvalidSpecError(
            f"distillation.layers is {[*given]!r}; expected {count} numbers, one for each layer of the model, from 0 "
            f"to {of_teacher - 1}"
        )
    return [*given]


def _positions(target: Tensor, mask: Tensor, written: Tensor) -> Tensor:
    """Return which positions of an output count, as a mask of its first axes: rows, tokens, or pairs of tokens."""
    rows, tokens = mask.shape
    if target.ndim >= 4 and target.shape[1:3] == (tokens, tokens):
        return mask[:, :, None] & mask[:, None]
    for one in (written, mask):
        if target.ndim >= 2 and one.shape == target.shape[:2] and (target.ndim > 2 or one.shape[1] > 1):
            return mask if one.shape == mask.shape else one
    return torch.ones(rows, dtype=torch.bool, device=mask.device)


def _error(student: Tensor, teacher: Tensor, mask: Tensor, *, part: str) -> Tensor:
    """`[]`, the squared difference, divided by the variance of the teacher over the positions of the mask."""
    if student.shape != teacher.shape:
        raise InvalidSpecError(
            f"{_SUBJECTS[part]} of the teacher have the shape {[*teacher.shape]}, those of the student "
            f"{[*student.shape]}; set distillation.{part} to 0, or choose a teacher of the same size"
        )
    one, other = student[mask].float(), teacher[mask].float()
    counts = other > _MASKED
    variance = ((other - _center(other[counts] if part == "outputs" else other, part)).square() * counts).sum()
    difference = ((one - other).square() * counts).sum()
    return difference / variance.clamp(min=torch.finfo(torch.float32).eps)


def _center(values: Tensor, part: str) -> Tensor | float:
    if part == "attentions":  # the columns of padding would change a mean
        return 0.0
    return values.mean(dim=0) if part == "hidden_states" else values.mean()
