"""Check of the sizes in `config.json` against the weights, before a model is built."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.errors import ArtefactError

MOST_PARTS = 100_000
"""Upper limit of layers, blocks or experts of any model, which applies if the weights are unknown."""

MOST_LABELS = 1_000_000

_PARTS = re.compile("layer|block|depth|stage|group|repeat|expert|attention_types")
_LABELS = re.compile("^_?num_labels$|^n_labels$|^num_classes$")
_LABEL_NAMES = ("id2label", "label2id")
_ROOM = 1000
"""Number of parts that a model may have in addition to its tensors, because layers can share weights."""

Shape = tuple[int, ...]


def check_config_file(folder: Path, *, source: str, shapes: Collection[Shape] | None = None) -> None:
    """Check the `config.json` of a folder, if it has one; see `check_config_sizes`.

    Raises:
        ArtefactError: the file is not a regular JSON file, or states an impossible size.
    """
    try:
        content = read_saved_file(folder / "config.json")
    except FileNotFoundError:
        return
    with as_artefact_errors(f"config.json of {source!r}"):
        config = json.loads(content)
    check_config_sizes(config, source=source, shapes=shapes)


def check_config_sizes(config: Any, *, source: str, shapes: Collection[Shape] | None = None) -> None:
    """Check the numbers of layers and labels in a configuration, for which transformers immediately allocates lists.

    Args:
        config: the content of `config.json`.
        source: the location of the model, for the message.
        shapes: the shapes of its weight tensors, if they are known.

    Raises:
        ArtefactError: a number exceeds what the weights can contain, or what any model has.

    Example:
        >>> check_config_sizes({"num_hidden_layers": 10_000_000}, source="model", shapes=[(2, 2)])
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: config.json of 'model': num_hidden_layers is 10000000, but the weights ...
    """
    parts, labels, limit = MOST_PARTS, MOST_LABELS, "no model has more than {most} of them"
    if shapes is not None:
        parts = min(parts, len(shapes) + _ROOM)
        labels = min(labels, max((size for shape in shapes for size in shape), default=0))
        limit = f"the weights ({len(shapes)} tensors) allow at most {{most}}"
    for key, size in _sizes(config):
        is_label = bool(_LABELS.search(key)) or key in _LABEL_NAMES
        most = labels if is_label else parts
        if size > most:
            raise ArtefactError(
                f"config.json of {source!r}: {key} is {size}, but {limit.format(most=most)}; "
                "nothing was loaded: fetch or save the model again"
            )


def _sizes(config: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """Yield every number of parts or labels, with its key."""
    stack: list[tuple[str, Any]] = [(key, config)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, Mapping):
            if name in _LABEL_NAMES:
                yield name, len(value)
            else:
                stack += [(str(inner), one) for inner, one in value.items()]
        elif isinstance(value, list):
            if _PARTS.search(name):
                yield name, len(value)
            stack += [(name, one) for one in value]
        elif type(value) is int and (_PARTS.search(name) or _LABELS.search(name)):
            yield name, value
