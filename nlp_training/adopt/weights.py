"""The weights of an adopted model: those of the checkpoint, with the outputs of the head in the order of the task."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from nlp_inference import Task
from nlp_training.adopt.deduction import UnsupportedModelError
from nlp_training.adopt.stock import head_name

ABSENT_LOGIT = -50.0
"""The logit of a tag that the head lacks: its probability is 0, and it fits every precision."""


def adopted_model(model: PreTrainedModel, task: Task, rows: Sequence[int | None] | None) -> PreTrainedModel:
    """Return a model for the task, which shares all weights with the stock model except those of the head.

    Args:
        model: the stock model, which is not changed.
        task: the task.
        rows: for each output of the task, the row of the head, `None` for one that it lacks; `None` keeps the head.

    Raises:
        UnsupportedModelError: outputs are missing, and the head has no bias to exclude them.
    """
    shared: dict[int, object] = {id(one): one for one in (*model.parameters(), *model.buffers())}
    adopted: Any = copy.deepcopy(model, shared)
    outputs = int(model.config.num_labels or 0)
    if rows is not None and list(rows) != list(range(outputs)):
        name = head_name(adopted, outputs)
        if name is None:
            raise UnsupportedModelError(f"{type(model).__name__} has no linear head whose outputs can be arranged")
        adopted.set_submodule(name, _arranged(adopted.get_submodule(name), rows))
        adopted.num_labels = len(rows)
    settings = dict(task.model_settings())
    settings.pop("num_labels", None)
    adopted.config.update(settings)
    return adopted.eval()  # type: ignore[no-any-return]  # a method of torch


def _arranged(head: Any, rows: Sequence[int | None]) -> nn.Linear:
    """Return a linear layer with the rows of another one, which may have no bias."""
    if head.bias is None and None in rows:
        raise UnsupportedModelError(
            "the head lacks tags of its scheme and has no bias, by which they would be excluded; choose another scheme "
            "with --scheme"
        )
    arranged = nn.Linear(head.in_features, len(rows), bias=head.bias is not None)
    with torch.no_grad():
        for target, row in enumerate(rows):
            arranged.weight[target] = 0.0 if row is None else head.weight[row]
            if head.bias is not None:
                arranged.bias[target] = ABSENT_LOGIT if row is None else head.bias[row]
    return arranged
