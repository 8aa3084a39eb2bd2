"""Validation of labels, and their entries in a model's configuration."""

from collections.abc import Sequence
from typing import Any


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list of labels, empty labels and repeated ones.

    Raises:
        ValueError: the labels are invalid; pydantic converts the error.
    """
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if not labels or not all(labels) or repeated:
        raise ValueError(f"labels must be a list of distinct, non-empty names; got {labels!r}, repeated: {repeated!r}")
    return labels


def label_settings(labels: Sequence[str]) -> dict[str, Any]:
    """Return the number and the names of the labels as entries of `config.json`.

    Example:
        >>> label_settings(["no", "yes"])
        {'num_labels': 2, 'id2label': {0: 'no', 1: 'yes'}, 'label2id': {'no': 0, 'yes': 1}}
    """
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }
