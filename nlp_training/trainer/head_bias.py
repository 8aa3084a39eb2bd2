"""A new head whose probabilities start at those of the training documents."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nlp_inference import Document, Task
from nlp_training.gold import gold_kind


def prior_bias(task: Task, documents: Sequence[Document]) -> NDArray[np.float32] | None:
    """Return the bias that a new head of the task starts with, `[labels]`; `None` if the task has none.

    Args:
        task: see `Task.head_bias`.
        documents: those of training; documents without gold are not counted.

    Example:
        >>> from nlp_inference import Annotation, Category, MultiLabelClassification
        >>> joy, nothing = Annotation(categories=(Category(label="joy"),)), Annotation()
        >>> documents = [Document(raw_text="...", gold=gold) for gold in (joy, joy, nothing, nothing)]
        >>> prior_bias(MultiLabelClassification(labels=("joy",)), documents).tolist()
        [0.0]
    """
    kind = gold_kind(task.needs)
    golds = [document.gold for document in documents if document.gold is not None]
    counts = Counter(label for gold in golds for label in set(kind.labels(gold)))
    return task.head_bias(counts, documents=len(golds))


def start_head_at(model: torch.nn.Module, bias: NDArray[np.float32], *, missing: Collection[str]) -> None:
    """Set the bias of the last layer of a model, if it was not loaded and has one.

    Args:
        model: with a head.
        bias: `[labels]`.
        missing: names of the parameters that the checkpoint did not have.
    """
    heads = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and f"{name}.bias" in missing  # some heads have none
        and module.out_features == len(bias)
    ]
    if heads:
        with torch.no_grad():
            heads[-1].bias.copy_(torch.from_numpy(bias))
