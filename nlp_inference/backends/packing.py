"""Linear layers whose weights are converted once to the blocked layout of oneDNN, which PyTorch does at each call.

On a CPU, an encoder spends most of its time in linear layers. oneDNN multiplies faster by weights in its blocked
layout, and applies a GELU while the product is still in the cache. The precision of the model does not change: only the
order of summation differs, as it does between two CPUs.
"""

import copy
import os
from typing import Any

import torch
from torch import nn
from transformers.activations import GELUActivation

_ONEDNN: Any = torch.ops.mkldnn
"""Operators that `torch.compile` uses for CPU linear layers. They are private, so each layer is tested on a probe."""
_PROBE_SHAPE = (1, 3)
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_KEPT_SHAPES = 256
_TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Greatest allowed difference between a packed layer and its original, relative to the greatest output."""


class PackedLinear(nn.Module):
    """A linear layer in the layout of oneDNN, optionally with the GELU that follows it; for inference only.

    Args:
        linear: the layer that provides the weights.
        gelu: whether the exact GELU follows (Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415).
    """

    def __init__(self, linear: nn.Linear, *, gelu: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias  # some models read their precision
        self._blocked = _ONEDNN._reorder_linear_weight(linear.weight.detach(), None)  # noqa: SLF001 - as the compiler does
        self.activation, self.algorithm = ("gelu", "none") if gelu else ("none", "")

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Multiply `[..., in]` to `[..., out]`."""
        outputs: torch.Tensor = _ONEDNN._linear_pointwise(  # noqa: SLF001 - as the compiler does
            inputs, self._blocked, self.bias, self.activation, [], self.algorithm
        )
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        """Omit the blocked weights, whose layout depends on the machine."""
        return {name: value for name, value in self.__dict__.items() if name != "_blocked"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # untyped in torch
        self._blocked = _ONEDNN._reorder_linear_weight(self.weight.detach(), None)  # noqa: SLF001 - as the compiler does


def packed(model: nn.Module) -> nn.Module:
    """Return a copy of `model` with packed linear layers, which shares all other tensors with it.

    The original model is not changed, so that its training can continue. If nothing can be packed (a GPU, another
    precision, a PyTorch without oneDNN), the original is returned.
    """
    layers = [layer for layer in model.modules() if type(layer) is nn.Linear]
    if not layers or not all(map(_packable, layers)):
        return model
    _limit_caches()
    tensors: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, tensors)
    _pack_children(twin)
    return twin


def _limit_caches() -> None:
    """Reduce the number of primitives that oneDNN caches, one for each shape of a product, unless the user set it.

    A primitive takes about 0.5 MB, and batches of texts have hundreds of shapes: with the default of 1024 a process
    grows by hundreds of MB. oneDNN reads the variables at its first product, for the entire process. See
    https://oneapi-src.github.io/oneDNN/v2/dev_guide_primitive_cache.html. The second variable is that of
    https://github.com/intel/ideep, the layer between oneDNN and PyTorch, which has a similar cache.
    """
    for name in _CACHES:
        os.environ.setdefault(name, str(_KEPT_SHAPES))


def _pack_children(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        replacement = _packed_with_activation(child) or _packed_alone(child)
        if replacement is None:
            _pack_children(child)
        else:
            setattr(module, name, replacement)


def _packed_alone(module: nn.Module) -> PackedLinear | None:
    return _if_equal(module, module, gelu=False) if type(module) is nn.Linear else None


def _packed_with_activation(module: nn.Module) -> PackedLinear | None:
    """Return a block of a linear layer and the exact GELU, such as BERT's `Intermediate`, as one layer, or `None`."""
    children = list(module.children())
    linear = next((child for child in children if type(child) is nn.Linear), None)
    activations = [child for child in children if _is_exact_gelu(child)]
    if linear is None or len(activations) != 1 or len(children) != 2:
        return None
    has_own_parameters = sum(1 for _ in module.parameters()) > sum(1 for _ in linear.parameters())
    return None if has_own_parameters else _if_equal(module, linear, gelu=True)


def _is_exact_gelu(module: nn.Module) -> bool:
    """Return whether the class is the exact GELU; a probe cannot distinguish it from approximations."""
    return isinstance(module, GELUActivation) or (isinstance(module, nn.GELU) and module.approximate == "none")


def _if_equal(original: nn.Module, linear: nn.Linear, *, gelu: bool) -> PackedLinear | None:
    """Return the packed layer if its outputs on a probe equal those of the original, or `None`."""
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn((*_PROBE_SHAPE, linear.in_features), generator=generator).to(linear.weight.dtype)
    try:
        with torch.no_grad():
            expected = original(probe)
            replacement = PackedLinear(linear, gelu=gelu)
            actual = replacement(probe)
            difference = (expected - actual).abs().max()
            scale = expected.abs().max().clamp(min=1e-6)
    except Exception:  # noqa: BLE001 - the module or oneDNN may reject the probe; the module then stays unpacked
        return None
    return replacement if expected.shape == actual.shape and difference <= _TOLERANCES[probe.dtype] * scale else None


def _packable(layer: nn.Linear) -> bool:
    return (
        layer.weight.device.type == "cpu"
        and layer.weight.dtype in _TOLERANCES
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(_ONEDNN, "_linear_pointwise")
    )
