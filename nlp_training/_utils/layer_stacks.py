"""The stacks of equal layers of a model: those of its encoder, and those of its decoder if it has one."""

import re
from typing import Any

from torch import nn

_STACK = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)$")


def layer_stacks(model: Any) -> dict[str, nn.ModuleList]:
    """Return the stacks of layers of a model by their names; empty for a family that shares one layer.

    A layer that is itself a list of layers, such as a block of T5, is one layer.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> config = BertConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=1, intermediate_size=8)
        >>> {name: len(stack) for name, stack in layer_stacks(BertModel(config)).items()}
        {'encoder.layer': 2}
    """
    found: dict[str, nn.ModuleList] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and _STACK.search(name) and not _is_inside(name, found):
            found[name] = module
    return found


def is_decoder(stack: str) -> bool:
    """Return whether a stack of `layer_stacks` belongs to a decoder.

    Example:
        >>> is_decoder("model.decoder.layers"), is_decoder("bert.encoder.layer")
        (True, False)
    """
    return "decoder" in stack.split(".")


def _is_inside(name: str, found: dict[str, nn.ModuleList]) -> bool:
    return any(name.startswith(f"{outer}.") for outer in found)
