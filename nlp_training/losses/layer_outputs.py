"""Hidden states and attention weights of each layer, kept while a model runs."""

from collections.abc import Mapping
from functools import partial
from inspect import signature
from typing import Any, Self

from torch import Tensor, nn

from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.layer_stacks import is_decoder


class LayerOutputs:
    """A context that keeps what each layer of a model returns while the model runs.

    Args:
        model: the model.
        stacks: its layers, see `layer_stacks`.
        attentions: whether the self-attention weights of encoder layers are kept too. The model computes its attention
            in the implementation `eager` inside this context, because the others have no weights.

    Attributes:
        hidden_states: for each stack, those of the last run, `[rows, tokens, hidden]` each.
        attentions: for each stack of an encoder, the attention weights, `[rows, heads, tokens, tokens]` each.
    """

    def __init__(self, model: Any, stacks: Mapping[str, nn.ModuleList], *, attentions: bool = False) -> None:
        self._model = model
        self._stacks = stacks
        self._attending = [name for name in stacks if attentions and not is_decoder(name)]
        self._hooks: list[Any] = []
        self.hidden_states: dict[str, list[Tensor]] = {}
        self.attentions: dict[str, list[Tensor]] = {}

    def __enter__(self) -> Self:
        """Begin to keep outputs.

        Raises:
            InvalidSpecError: attention weights are kept, and the model recomputes its layers in the backward pass.
        """
        if self._attending:
            self._use_eager_attention()
        self.hidden_states = {name: [] for name in self._stacks}
        self.attentions = {name: [] for name in self._attending}
        for name, stack in self._stacks.items():
            for index, layer in enumerate(stack):
                self._hooks.append(layer.register_forward_hook(partial(self._keep_states, name, index)))
        self._watch_attentions()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """End to keep outputs.

        Raises:
            InvalidSpecError: a layer did not return them.
        """
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self._attending:
            self._model.set_attn_implementation(self._implementation)
        if error is None:
            self._check_complete(self.hidden_states, "hidden_states")
            self._check_complete(self.attentions, "attentions")

    def _use_eager_attention(self) -> None:
        recomputes = any(getattr(one, "gradient_checkpointing", False) for one in self._model.modules())
        if self._model.training and recomputes:  # the backward pass is outside the context
            raise InvalidSpecError(
                "distillation.attentions cannot be combined with activation checkpointing; set "
                "training.activation_checkpointing to false, or distillation.attentions to 0"
            )
        self._implementation = self._model.config._attn_implementation  # noqa: SLF001 - it has no public name
        self._model.set_attn_implementation("eager")

    def _watch_attentions(self) -> None:
        for name in self._attending:
            for index, layer in enumerate(self._stacks[name]):
                if "output_attentions" in signature(layer.forward).parameters:  # DeBERTa
                    self._hooks.append(layer.register_forward_pre_hook(_with_attentions, with_kwargs=True))
                keep = partial(self._keep_attention, name, index)
                self._hooks += [module.register_forward_hook(keep) for module in layer.modules()]

    def _check_complete(self, kept: Mapping[str, list[Tensor]], setting: str) -> None:
        if any(len(found) != len(self._stacks[name]) for name, found in kept.items()):
            raise InvalidSpecError(
                f"the layers of {type(self._model).__name__} do not return their {setting.replace('_', ' ')}; set "
                f"distillation.{setting} to 0"
            )

    def _keep_states(self, name: str, index: int, _layer: nn.Module, _inputs: Any, output: Any) -> None:
        kept = self.hidden_states[name]
        if index < len(kept):  # gradient checkpointing runs a layer again
            return
        kept.append(output[0] if isinstance(output, tuple) else output)

    def _keep_attention(self, name: str, index: int, _module: nn.Module, _inputs: Any, output: Any) -> None:
        kept = self.attentions[name]
        weights = [one for one in output[1:] if _is_attention(one)] if isinstance(output, tuple) else []
        if weights and len(kept) == index:
            kept.append(weights[-1])  # T5 returns the bias of positions before them


def _with_attentions(_layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return arguments, named | {"output_attentions": True}


def _is_attention(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[-1] == value.shape[-2]
