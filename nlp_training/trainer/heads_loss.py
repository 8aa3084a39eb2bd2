"""Computes the loss of several heads for batches: one forward pass, and the loss of each head that has gold."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

import torch
from torch import Tensor

from nlp_inference import Document, Processor, Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks.multi_task import PRESENT
from nlp_training.batches.sample_weights import SAMPLE_WEIGHT
from nlp_training.gold import documents_of_head
from nlp_training.losses import Loss
from nlp_training.trainer.batch_loss import Batch, BatchLoss, model_loss

LOG_VARIANCES = "head_log_variances"
"""The parameter of the model, during training, with the learned weights: `[heads]`, divided by `_TIMES_FASTER`."""

_TIMES_FASTER = 100.0
"""Factor of the log variances, because the learning rate of the encoder would hardly change them."""


class _HeadCriterion(Protocol):
    """The loss of one head. A batch has the model inputs, `present` `[rows]`, and `labels` if a row has gold."""

    def weight(self, batch: Batch) -> Tensor:
        """Return the weight of all items of a batch, `[]`."""

    def total(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the sum of the losses of all items, `[]`."""


class _LossOfTraining:
    """A loss of `nlp_training.losses`, from the logits."""

    def __init__(self, loss: BatchLoss) -> None:
        self._loss = loss

    def weight(self, batch: Batch) -> Tensor:
        return self._loss.total_weight([batch])

    def total(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return self._loss.summed({"logits": outputs["logits"]}, batch)


class _LossOfHead:
    """The own loss of a head of the model."""

    def __init__(self, head: Any, name: str) -> None:
        self._head, self._name = head, name

    def weight(self, batch: Batch) -> Tensor:
        if SAMPLE_WEIGHT in batch:
            raise InvalidSpecError(
                f"data.sample_weight is set, but the head {self._name!r} learns by its own loss, which takes no "
                "weights; leave one of them out"
            )
        items: Tensor = self._head.loss_items(batch["labels"][batch[PRESENT] == 1])
        return items

    def total(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        rows = batch[PRESENT] == 1
        labels, mask = batch["labels"][rows], batch["attention_mask"][rows]
        loss: Tensor = self._head.loss({name: one[rows] for name, one in outputs.items()}, labels, mask)
        items: Tensor = self._head.loss_items(labels)
        return loss * items


class BatchLossOfHeads:
    """Computes the loss `heads` for the batches of a Trainer; the interface is that of `BatchLoss`.

    Args:
        loss: a `HeadsLoss`.
        processor: makes the batches, and knows the heads.
        model: what is trained. With learned weights it gets the parameter `LOG_VARIANCES`, until `release`.
        documents: the training documents, if a loss weighs classes.
        device: where the model is.
        seed, step: see `BatchLoss`.

    Raises:
        InvalidSpecError: the loss of a head does not fit its task, or is for an unknown head.
    """

    def __init__(
        self,
        loss: Any,
        *,
        processor: Processor,
        model: torch.nn.Module,
        documents: Sequence[Document] | None,
        device: str,
        seed: str = "0",
        step: Callable[[], int] = lambda: 0,
    ) -> None:
        task: Any = processor.task
        if unknown := [name for name in loss.losses if name not in task.tasks]:
            raise InvalidSpecError(f"loss names the head {unknown[0]!r}, but the heads are {', '.join(task.tasks)}")
        self._inputs = tuple(processor.collate([]))
        self._learned = loss.weighting == "uncertainty"
        self._names = tuple(task.tasks)
        self._weights = {name: task.weights.get(name, 1.0) for name in self._names}
        self._halved = {name: 0.5 if _is_numeric(one) else 1.0 for name, one in task.tasks.items()}
        self._task = task
        self._criteria: dict[str, _HeadCriterion] = {}
        for name, one in task.tasks.items():
            chosen = loss.losses.get(name)
            if one.own_loss and chosen is None:
                continue  # see `take_model`
            view = copy(processor)
            view.task = one
            of_head = documents_of_head(documents, name) if documents is not None and _weighs(chosen) else None
            spec = chosen or one.default_loss or model_loss(one)
            part = BatchLoss(
                Loss.from_spec(spec),
                processor=view,
                model=model,
                documents=of_head,
                device=device,
                seed=seed,
                step=step,
            )
            self._criteria[name] = _LossOfTraining(part)
        self.take_model(model)

    def take_model(self, model: Any) -> None:
        """Compute the loss of another model from now on."""
        self._model = model
        for name, task in self._task.tasks.items():
            if name not in self._criteria or isinstance(self._criteria[name], _LossOfHead):
                self._criteria[name] = _LossOfHead(model.head(name), task.name)
        if self._learned and not hasattr(model, LOG_VARIANCES):
            start = torch.zeros(len(self._names), device=next(model.parameters()).device)
            model.register_parameter(LOG_VARIANCES, torch.nn.Parameter(start))

    def release(self, model: torch.nn.Module) -> None:
        """Remove the learned weights from the model, which production does not need."""
        model._parameters.pop(LOG_VARIANCES, None)  # noqa: SLF001 - torch has no method for it

    def log_values(self) -> dict[str, float]:
        """Return what to log with the loss: the learned factor of the loss of each head, its fixed weight included."""
        if not self._learned:
            return {}
        factors = torch.exp(-self._log_variances()).tolist()
        return {
            f"{name}_loss_weight": self._weights[name] * self._halved[name] * factor
            for name, factor in zip(self._names, factors, strict=True)
        }

    def total_weight(self, batches: Sequence[Batch]) -> Tensor:
        """Return how much all items of each head count in some batches, `[heads]`."""
        return torch.stack([self._weights_of(batch) for batch in batches]).sum(dim=0)

    def __call__(self, model: torch.nn.Module, batch: Batch, total_weight: Tensor | None = None) -> tuple[Tensor, Any]:
        """Return the weighted sum of the mean losses of the heads, `[]`, and the model outputs; see `BatchLoss`."""
        outputs = model(**{name: batch[name] for name in self._inputs})
        weights = self._weights_of(batch)
        totals = weights if total_weight is None else total_weight
        variances = self._log_variances()
        sums: list[Tensor] = []
        for index, name in enumerate(self._names):
            of_head = self._task.model_outputs_of(name, outputs)
            if not weights[index] > 0:
                sums.append(0.0 * of_head["logits"].float().sum())  # every parameter has a gradient in every process
                continue
            share = totals[index].clamp(min=torch.finfo(torch.float32).tiny)
            mean = self._criteria[name].total(of_head, self._batch_of(name, batch)) / share
            weighted = self._weights[name] * mean
            if self._learned:
                factor = self._halved[name] * torch.exp(-variances[index])
                weighted = factor * weighted + variances[index] / 2 * (weights[index] / share)
            sums.append(weighted)
        return torch.stack(sums).sum(), outputs

    def _log_variances(self) -> Tensor:
        if not self._learned:
            return torch.zeros(len(self._names))
        learned: Tensor = getattr(self._model, LOG_VARIANCES)
        return _TIMES_FASTER * learned

    def _weights_of(self, batch: Batch) -> Tensor:
        rows = batch["attention_mask"]
        found = [
            self._criteria[name].weight(self._batch_of(name, batch)).float()
            if f"{name}_labels" in batch
            else torch.zeros((), device=rows.device)
            for name in self._names
        ]
        return torch.stack(found)

    def _batch_of(self, name: str, batch: Batch) -> dict[str, Tensor]:
        """Return the targets of a head under the names that its task knows, and what all heads read."""
        own = self._task.model_outputs_of(name, batch)
        return {key: batch[key] for key in (*self._inputs, SAMPLE_WEIGHT) if key in batch} | dict(own)


def _is_numeric(task: Task) -> bool:
    return task.default_loss is not None and Loss.from_spec(task.default_loss).numeric


def _weighs(loss: Loss | None) -> bool:
    return loss is not None and loss.class_weighting() is not None
