"""Check that a model predicts the labels that its processor decodes; for every backend."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.errors import ArtefactError
from nlp_inference.tasks import Task

_UNNAMED = {0: "LABEL_0", 1: "LABEL_1"}
"""Default labels of transformers, which it does not save in the configuration."""


def check_labels(id2label: Mapping[int, str], *, task: Task, source: str) -> None:
    """Compare the labels of a model with those of its task, if the task has any.

    Args:
        id2label: the labels of the model's output indices.
        task: the task that decodes the outputs.
        source: the location of the model, for the message.

    Raises:
        ArtefactError: the labels differ.

    Example:
        >>> from nlp_inference import TextClassification
        >>> check_labels({0: "no", 1: "yes"}, task=TextClassification(labels=("yes", "no")), source="model")
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: the model 'model' predicts {0: 'no', 1: 'yes'}, but its processor ...
    """
    expected = task.model_settings().get("id2label")
    if expected is not None and dict(id2label) != expected:
        raise ArtefactError(
            f"the model {source!r} predicts {dict(id2label)!r}, but its processor decodes {expected!r}; they were not "
            "saved together"
        )


def check_heads(heads: Any, *, task: Task, source: str) -> None:
    """Compare the heads of a model, `task_heads` of its configuration, with those of its task, if the task has any.

    Raises:
        ArtefactError: they differ.
    """
    expected = task.model_settings().get("task_heads")
    if expected is not None and heads != expected:
        raise ArtefactError(
            f"the model {source!r} has the heads {heads!r:.300}, but its processor decodes {expected!r:.300}; they "
            "were not saved together"
        )


def check_saved_labels(folder: Path, *, task: Task) -> None:
    """Compare the labels in the `config.json` of a folder, as transformers reads them, with those of its task.

    An exported model needs no `config.json`; without one, nothing is compared.

    Raises:
        ArtefactError: the labels differ, or the file cannot be read.
    """
    path = folder / "config.json"
    if not path.is_file():
        return
    with as_artefact_errors(f"config.json of {str(folder)!r}"):
        config = json.loads(read_saved_file(path))
        named = config.get("id2label")
        id2label = _UNNAMED if named is None else {int(number): label for number, label in named.items()}
    check_labels(id2label, task=task, source=str(folder))
    check_heads(config.get("task_heads"), task=task, source=str(folder))
