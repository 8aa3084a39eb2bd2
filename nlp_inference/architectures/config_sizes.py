"""Sizes that `config.json` states, compared with what the weights hold, before anything is built of them."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.errors import ArtefactError

MOST_PARTS = 100_000
"""Layers, blocks or experts of the largest model, with room to spare; where there are no weights to compare with."""

MOST_LABELS = 1_000_000

_PARTS = re.compile("layer|block|depth|stage|group|repeat|expert|attention_types")
_LABELS = re.compile("^_?num_labels$|^n_labels$|^num_classes$")
_LABEL_NAMES = ("id2label", "label2id")
_ROOM = 1000
"""Parts that a model may have beyond the tensors of its weights: layers can share them."""

Shape = tuple[int, ...]


def check_config_file(folder: Path, *, source: str, shapes: Collection[Shape] | None = None) -> None:
    """Check the `config.json` of a folder, if it has one; see `check_config_sizes`.

    Raises:
        ArtefactError: it is no regular file of JSON, or states a size that cannot be.
    """
    try:
        content = read_saved_file(folder / "config.json")
    except FileNotFoundError:
        return
    with as_artefact_errors(f"config.json of {source!r}"):
        config = json.loads(content)
    check_config_sizes(config, source=source, shapes=shapes)


def check_config_sizes(config: Any, *, source: str, shapes: Collection[Shape] | None = None) -> None:
    """Check how many layers and labels a model's configuration states, as transformers makes lists of them at once.

    Args:
        config: what `config.json` holds.
        source: of the model, for the message.
        shapes: of the tensors of its weights, if they are at hand.

    Raises:
        ArtefactError: there are more of them than the weights can hold, or than any model has.

    Example:
        >>> check_config_sizes({"num_hidden_layers": 10_000_000}, source="model", shapes=[(2, 2)])
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: config.json of 'model': num_hidden_layers is 10000000, but the weights ...
    """
    parts, labels, held = MOST_PARTS, MOST_LABELS, "no model has more than {most} of them"
    if shapes is not None:
        parts = min(parts, len(shapes) + _ROOM)
        labels = min(labels, max((size for shape in shapes for size in shape), default=0))
        held = f"the weights ({len(shapes)} tensors) hold {{most}} at most"
    for key, size in _sizes(config):
        is_label = bool(_LABELS.search(key)) or key in _LABEL_NAMES
        most = labels if is_label else parts
        if size > most:
            raise ArtefactError(
                f"config.json of {source!r}: {key} is {size}, but {held.format(most=most)}; "
                "nothing was loaded: fetch or save the model again"
            )


def _sizes(config: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """Every number that says how many parts or labels there are, with its key."""
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
