"""Linear layers with their weights laid out once as the CPU multiplies them, where PyTorch does it at each call.

On a CPU most of an encoder's time is in its linear layers. oneDNN multiplies faster by weights in its own blocked
layout, and applies a GELU while the product is still in the cache. The arithmetic is that of the model's own
precision: only the order of summation differs, as it does between two CPUs.
"""

import copy
import os
from typing import Any

import torch
from torch import nn
from transformers.activations import GELUActivation

_ONEDNN: Any = torch.ops.mkldnn
"""What `torch.compile` makes of a linear layer on a CPU; it has no public name, so each layer is tried on a probe."""
_PROBE_SHAPE = (1, 3)
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_KEPT_SHAPES = 256
_TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Greatest difference, relative to the greatest output, by which a packed layer may differ from its original."""


class PackedLinear(nn.Module):
    """A linear layer, and the GELU after it if there is one, in oneDNN's layout; for inference only.

    Args:
        linear: the layer to take the weights of.
        gelu: whether the exact GELU follows (Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415).
    """

    def __init__(self, linear: nn.Linear, *, gelu: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias  # some models look at their precision
        self._blocked = _ONEDNN._reorder_linear_weight(linear.weight.detach(), None)  # noqa: SLF001 - as the compiler does
        self.activation, self.algorithm = ("gelu", "none") if gelu else ("none", "")

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Multiply `[..., in]` to `[..., out]`."""
        outputs: torch.Tensor = _ONEDNN._linear_pointwise(  # noqa: SLF001 - as the compiler does
            inputs, self._blocked, self.bias, self.activation, [], self.algorithm
        )
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        """Without the blocked weights, which no other machine need have."""
        return {name: value for name, value in self.__dict__.items() if name != "_blocked"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # it has no types in torch
        self._blocked = _ONEDNN._reorder_linear_weight(self.weight.detach(), None)  # noqa: SLF001 - as the compiler does


def packed(model: nn.Module) -> nn.Module:
    """A model that shares the tensors of `model` but for its linear layers, which are packed where that can be done.

    The model itself stays as it is, so that it can go on training. Where nothing can be packed (a GPU, another
    precision, a PyTorch without oneDNN) it is returned itself.
    """
    layers = [layer for layer in model.modules() if type(layer) is nn.Linear]
    if not layers or not all(map(_packable, layers)):
        return model
    _bound_caches()
    tensors: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    twin = copy.deepcopy(model, tensors)
    _pack_children(twin)
    return twin


def _bound_caches() -> None:
    """Let oneDNN keep fewer of the programs that it makes for each shape of a product, unless the user said how many.

    Each takes some 0.5 MB, and batches of texts have hundreds of shapes: of 1024, which is its own bound, a process
    grows by hundreds of MB. These variables are read when oneDNN first multiplies, and hold for the whole process. See
    https://oneapi-src.github.io/oneDNN/v2/dev_guide_primitive_cache.html; the second is that of the layer between it
    and PyTorch, https://github.com/intel/ideep, which keeps what it made likewise.
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
    """A block of a linear layer and the exact GELU, such as BERT's `Intermediate`, as one layer."""
    children = list(module.children())
    linear = next((child for child in children if type(child) is nn.Linear), None)
    activations = [child for child in children if _is_exact_gelu(child)]
    if linear is None or len(activations) != 1 or len(children) != 2:
        return None
    has_own_parameters = sum(1 for _ in module.parameters()) > sum(1 for _ in linear.parameters())
    return None if has_own_parameters else _if_equal(module, linear, gelu=True)


def _is_exact_gelu(module: nn.Module) -> bool:
    """Whether it is the exact GELU by its class: on a probe, approximations of it can look the same."""
    return isinstance(module, GELUActivation) or (isinstance(module, nn.GELU) and module.approximate == "none")


def _if_equal(original: nn.Module, linear: nn.Linear, *, gelu: bool) -> PackedLinear | None:
    """The packed layer, if on a probe it answers what the original does."""
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn((*_PROBE_SHAPE, linear.in_features), generator=generator).to(linear.weight.dtype)
    try:
        with torch.no_grad():
            expected = original(probe)
            replacement = PackedLinear(linear, gelu=gelu)
            answer = replacement(probe)
            difference = (expected - answer).abs().max()
            scale = expected.abs().max().clamp(min=1e-6)
    except Exception:  # noqa: BLE001 - a module may expect anything, and oneDNN refuse anything: then it stays as it is
        return None
    return replacement if expected.shape == answer.shape and difference <= _TOLERANCES[probe.dtype] * scale else None


def _packable(layer: nn.Linear) -> bool:
    return (
        layer.weight.device.type == "cpu"
        and layer.weight.dtype in _TOLERANCES
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(_ONEDNN, "_linear_pointwise")
    )
