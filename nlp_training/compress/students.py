"""A student: a copy of a teacher with a part of its layers, narrower feed-forward blocks, and a smaller vocabulary."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.layer_stacks import is_decoder, layer_stacks

_COUNTS = {False: ("encoder_layers", "num_layers", "num_hidden_layers"), True: ("num_decoder_layers", "decoder_layers")}
"""Keys of configurations with the number of layers of an encoder and of a decoder, the specific ones first."""

_WIDTHS = {
    False: ("encoder_ffn_dim", "d_ff", "intermediate_size", "hidden_dim", "ffn_dim", "n_inner", "d_inner"),
    True: ("decoder_ffn_dim",),
}
"""Keys of configurations with the width of a feed-forward block."""


def spaced_layers(total: int, count: int) -> list[int]:
    """Return a choice of layers at even distances, with the lowest one.

    Args:
        total: the number of layers of the teacher.
        count: how many to keep.

    Example:
        >>> spaced_layers(6, 3), spaced_layers(6, 2), spaced_layers(12, 4)
        ([0, 2, 4], [0, 3], [0, 3, 6, 9])
    """
    return [index * total // count for index in range(count)]


def cut_layers(teacher: Any, layers: Mapping[str, Sequence[int]]) -> Any:
    """Return a student with some of the layers of a teacher, in evaluation mode.

    Args:
        teacher: a model of transformers.
        layers: for each stack of layers (see `layer_stacks`), the indices to keep.

    Raises:
        InvalidSpecError: the layers of this family cannot be cut: they are shared, the configuration does not count
            them, or a layer is required.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(hidden_size=8, num_hidden_layers=4, num_attention_heads=1, intermediate_size=8)
        >>> student = cut_layers(BertForSequenceClassification(config), {"bert.encoder.layer": [0, 2]})
        >>> student.config.num_hidden_layers
        2
    """
    stacks = layer_stacks(teacher)
    family = teacher.config.model_type
    if not stacks:
        raise InvalidSpecError(
            f"the layers of a {family!r} model share their weights or have no list, so none can be removed; choose "
            "another teacher"
        )
    config = copy.deepcopy(teacher.config)
    for name, kept in layers.items():
        _check_choice(name, kept, len(stacks[name]))
        _set_count(config, name, len(stacks[name]), kept)
    student = type(teacher)(config)
    known = student.state_dict().keys()
    renamed = dict(_renamed(teacher.state_dict(), layers))
    _load(student, {name: tensor for name, tensor in renamed.items() if name in known}, family)
    return student.eval()


def _check_choice(name: str, kept: Sequence[int], total: int) -> None:
    if not kept or sorted({*kept}) != [*kept] or kept[-1] >= total:
        raise InvalidSpecError(
            f"the layers of {name} are {[*kept]!r}; expected at least one of 0 to {total - 1}, in ascending order"
        )


def _set_count(config: Any, name: str, total: int, kept: Sequence[int]) -> None:
    """Set the number of layers of a stack in a configuration, and choose from settings that differ between layers."""
    found = [key for key in _COUNTS[is_decoder(name)] if getattr(config, key, None) == total]
    if not found:
        raise InvalidSpecError(
            f"the configuration of a {config.model_type!r} model does not say that {name} has {total} layers, so they "
            "cannot be cut"
        )
    setattr(config, found[0], len(kept))
    if found[0] == "encoder_layers" and getattr(config, "num_hidden_layers", None) == total:
        config.num_hidden_layers = len(kept)
    types = getattr(config, "layer_types", None)
    if isinstance(types, list) and len(types) == total:
        config.layer_types = [types[index] for index in kept]


def _renamed(weights: Mapping[str, Tensor], layers: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of the kept layers under their new numbers, and all weights outside of the stacks."""
    for name, tensor in weights.items():
        stack = next((one for one in layers if name.startswith(f"{one}.")), None)
        if stack is None:
            yield name, tensor
            continue
        number, _, rest = name.removeprefix(f"{stack}.").partition(".")
        if int(number) in layers[stack]:
            yield f"{stack}.{[*layers[stack]].index(int(number))}.{rest}", tensor


def _load(student: Any, weights: Mapping[str, Tensor], family: str) -> None:
    missing = student.load_state_dict(weights, strict=False).missing_keys
    tied = getattr(student, "all_tied_weights_keys", None) or {}
    missing = [name for name in missing if name not in tied]
    if missing:
        raise InvalidSpecError(f"a {family!r} model needs {missing[0]}, which the removed layers contain; keep layer 0")
    if hasattr(student, "tie_weights"):
        student.tie_weights()


class FeedForward:
    """The feed-forward block of a layer: linear layers from the hidden size, and one back to it.

    Args:
        inner: the linear layers that write the intermediate values; two for a gated block.
        outer: the linear layer that reads them.
    """

    def __init__(self, inner: list[nn.Linear], outer: nn.Linear) -> None:
        self.inner, self.outer = inner, outer

    @property
    def width(self) -> int:
        """The number of intermediate values."""
        return self.outer.in_features

    def keep(self, chosen: Tensor) -> None:
        """Keep some of the intermediate values, in place.

        Args:
            chosen: `[kept]`, their indices.
        """
        for one in self.inner:
            one.weight = nn.Parameter(one.weight.detach()[chosen].clone())
            if one.bias is not None:
                one.bias = nn.Parameter(one.bias.detach()[chosen].clone())
            one.out_features = len(chosen)
        self.outer.weight = nn.Parameter(self.outer.weight.detach()[:, chosen].clone())
        self.outer.in_features = len(chosen)


def feed_forwards(model: Any) -> dict[str, list[FeedForward]]:
    """Return the feed-forward blocks of each stack of layers.

    Raises:
        InvalidSpecError: a block is not two linear layers, or three with a gate.
    """
    found: dict[str, list[FeedForward]] = {}
    for name, stack in layer_stacks(model).items():
        width = _width(model.config, name)
        found[name] = [_block(layer, width[1], model.config.model_type) for layer in stack]
    return found


def _width(config: Any, stack: str) -> tuple[str, int]:
    """Return the key and the value of the width of the feed-forward blocks of a stack."""
    keys = (*_WIDTHS[is_decoder(stack)], *_WIDTHS[False])
    for key in keys:
        if isinstance(value := getattr(config, key, None), int):
            return key, value
    raise InvalidSpecError(f"the configuration of a {config.model_type!r} model has no width of feed-forward blocks")


def _block(layer: nn.Module, width: int, family: str) -> FeedForward:
    linear = [one for one in layer.modules() if isinstance(one, nn.Linear)]
    outer = [one for one in linear if one.in_features == width]
    hidden = outer[0].out_features if outer else 0
    inner = [one for one in linear if one.out_features == width and one.in_features == hidden]
    if width == hidden or len(outer) != 1 or not 1 <= len(inner) <= 2:
        raise InvalidSpecError(
            f"the feed-forward blocks of a {family!r} model are not two linear layers of the width {width}, so they "
            "cannot be made narrower; leave --feed-forward out"
        )
    return FeedForward(inner, outer[0])


def narrow(model: Any, width: int, importance: Mapping[str, Sequence[Tensor]]) -> None:
    """Keep the most important values of each feed-forward block, in place.

    Args:
        model: a model of transformers.
        width: how many to keep.
        importance: for each stack and layer, `[values]`; see `importance_of`.

    Raises:
        InvalidSpecError: the blocks of this family cannot be found, or are not wider than `width`.
    """
    for name, blocks in feed_forwards(model).items():
        _, present = _width(model.config, name)
        if width >= present:
            raise InvalidSpecError(f"the feed-forward width {width} is not smaller than that of the model, {present}")
        for block, values in zip(blocks, importance[name], strict=True):
            block.keep(values.topk(width).indices.sort().values)
    for name in layer_stacks(model):
        setattr(model.config, _width(model.config, name)[0], width)


def importance_of(model: Any, batches: Sequence[Mapping[str, Tensor]]) -> dict[str, list[Tensor]]:
    """Return the importance of each value of the feed-forward blocks, `[values]` for each layer.

    It is the mean size of what the value adds to the hidden states: `mean(|a_j|) * norm(W_j)`.

    Args:
        model: a model of transformers.
        batches: model inputs, `[rows, tokens]` each.
    """
    blocks = feed_forwards(model)
    sums: dict[int, Tensor] = {}

    def watch(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        flat = given[0].detach().abs().flatten(end_dim=-2).sum(dim=0)
        sums[id(module)] = sums.get(id(module), torch.zeros_like(flat)) + flat

    hooks = [block.outer.register_forward_pre_hook(watch) for of in blocks.values() for block in of]
    try:
        with torch.no_grad():
            for batch in batches:
                model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: [sums[id(block.outer)] * block.outer.weight.detach().norm(dim=0) for block in of]
        for name, of in blocks.items()
    }


def student_name(layers: Mapping[str, Sequence[int]], width: int | None) -> str:
    """Return a short name for a student, which is also that of its folder.

    Example:
        >>> student_name({"bert.encoder.layer": [0, 3]}, 512)
        'layers-0-3-ff512'
        >>> student_name({"encoder.block": [0], "decoder.block": [0, 2]}, None)
        'encoder-0-decoder-0-2'
    """
    parts = [
        f"{_side(name) if len(layers) > 1 else 'layers'}-{'-'.join(map(str, kept))}" for name, kept in layers.items()
    ]
    return re.sub(r"[^\w.-]", "-", "-".join(parts)) + (f"-ff{width}" if width else "")


def _side(stack: str) -> str:
    return "decoder" if is_decoder(stack) else "encoder"
