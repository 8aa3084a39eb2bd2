"""A new head whose probabilities start at those of the training documents."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nlp_inference import Document, Task
from nlp_training.gold import documents_of_head, gold_kind_of


def prior_biases(task: Task, documents: Sequence[Document]) -> dict[str, NDArray[np.float32]]:
    """Return the bias that each new head of the task starts with, `[labels]`, for the heads that have one.

    A task without heads has one, under the name `""`.

    Args:
        task: see `Task.head_bias`.
        documents: those of training; documents without gold are not counted.

    Example:
        >>> from nlp_inference import Annotation, Category, MultiLabelClassification
        >>> joy, nothing = Annotation(categories=(Category(label="joy"),)), Annotation()
        >>> documents = [Document(raw_text="...", gold=gold) for gold in (joy, joy, nothing, nothing)]
        >>> prior_biases(MultiLabelClassification(labels=("joy",)), documents)[""].tolist()
        [0.0]
    """
    found = {head: _prior_bias(one, documents_of_head(documents, head)) for head, one in task.tasks.items()}
    return {head: bias for head, bias in found.items() if bias is not None}


def _prior_bias(task: Task, documents: Sequence[Document]) -> NDArray[np.float32] | None:
    kind = gold_kind_of(task)
    golds = [document.gold for document in documents if document.gold is not None]
    counts = Counter(label for gold in golds for label in set(kind.labels(gold)))
    return task.head_bias(counts, documents=len(golds))


def start_head_at(
    model: torch.nn.Module, bias: NDArray[np.float32], *, missing: Collection[str], head: str = ""
) -> None:
    """Set the bias of the last layer of a model, or of one of its heads, if it was not loaded and has one.

    Args:
        model: with a head.
        bias: `[labels]`.
        missing: names of the parameters that the checkpoint did not have.
        head: the name of the head of a model with several.
    """
    heads = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and f"{name}.bias" in missing  # some heads have none
        and module.out_features == len(bias)
        and (not head or f"{head}_head" in name.split("."))
    ]
    if heads:
        with torch.no_grad():
            heads[-1].bias.copy_(torch.from_numpy(bias))
