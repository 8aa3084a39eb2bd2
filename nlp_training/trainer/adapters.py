"""Adapters: few new parameters inside a frozen encoder, of the library peft."""

import copy
import inspect
import re
from typing import Any

from torch import nn

from nlp_inference._utils.extras import require
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec, split_spec

NAME = "trained"
"""The name of the adapter inside the model."""


def add_adapter(model: Any, spec: Spec) -> None:
    """Insert an adapter into the encoder of a model, in place; only the adapter and the head remain trainable.

    Args:
        model: a model of transformers, with the weights to start from.
        spec: the type of the adapter in peft, in lower case, with the fields of its configuration, such as
            `{lora: {r: 16}}`. LoRA (Hu et al., 2021, https://arxiv.org/abs/2106.09685) adapts all linear layers unless
            `target_modules` names others.

    Raises:
        MissingExtraError: peft is not installed.
        InvalidSpecError: peft has no such type, it cannot be merged into the weights, or a field is unknown or invalid.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
        >>> model = BertForSequenceClassification(config)
        >>> add_adapter(model, {"lora": {"r": 2}})
        >>> sum(one.requires_grad for _, one in model.bert.named_parameters())
        14
    """
    kind, config = _configuration(spec, prefix=model.base_model_prefix)
    head = [one for name, one in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}.")]
    trained = [parameter for parameter in head if parameter.requires_grad]
    try:
        require("peft", extra="adapters").inject_adapter_in_model(config, model, adapter_name=NAME)
        _check_merge(model)
    except (TypeError, ValueError, NotImplementedError, AttributeError) as error:
        raise InvalidSpecError(
            f"model.adapter {kind!r} cannot be inserted into this model and merged into its weights: {error}"
        ) from error
    for parameter in trained:
        parameter.requires_grad_(True)  # noqa: FBT003 - torch names it otherwise


def merged(model: nn.Module) -> Any:
    """Return a copy of a model in evaluation mode, of its original class, with the adapter merged into the weights.

    The copy shares no tensors with the model.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
        >>> model = BertForSequenceClassification(config)
        >>> before = set(model.state_dict())
        >>> add_adapter(model, {"lora": {"r": 2}})
        >>> set(merged(model).state_dict()) == before
        True
    """
    plain = copy.deepcopy(model).eval()
    for name, layer in _adapted_layers(plain):
        layer.merge()
        plain.set_submodule(name, layer.get_base_layer())
    for parameter in plain.parameters():
        parameter.requires_grad_(True)  # noqa: FBT003 - torch names it otherwise
    return plain


def _adapted_layers(model: nn.Module) -> list[tuple[str, Any]]:
    layer_class: Any = require("peft.tuners.tuners_utils", extra="adapters").BaseTunerLayer
    return [(name, one) for name, one in model.named_modules() if isinstance(one, layer_class)]


def _check_merge(model: nn.Module) -> None:
    """Merge a copy of one layer of each type, because not all adapters can be merged into all layers."""
    for layer in {type(one): one for _, one in _adapted_layers(model)}.values():
        copy.deepcopy(layer).merge()


def has_adapter(model: nn.Module) -> bool:
    """Return whether a model contains an adapter of peft.

    Example:
        >>> has_adapter(nn.Linear(2, 2))
        False
    """
    return any(name.endswith(".base_layer") for name, _ in model.named_modules())


def _configuration(spec: Spec, *, prefix: str) -> tuple[str, Any]:
    """Return the type of an adapter and its configuration for the modules below `prefix`."""
    kind, fields = split_spec(spec, kind="adapter")
    config_class = _config_class(kind)
    settings = dict(fields or {})
    accepted = inspect.signature(config_class).parameters
    if unknown := sorted(settings.keys() - accepted.keys()):
        raise InvalidSpecError(
            f"model.adapter {kind!r} has no field {unknown[0]!r}; its fields are {', '.join(sorted(accepted))}"
        )
    if "target_modules" in accepted:
        settings.setdefault("target_modules", "all-linear")
    if "exclude_modules" in accepted:
        settings.setdefault("exclude_modules", rf"(?!{re.escape(prefix)}\.).*")
    try:
        return kind, config_class(**settings)
    except (TypeError, ValueError) as error:
        raise InvalidSpecError(f"model.adapter {kind!r}: {error}") from error


def _config_class(kind: str) -> Any:
    mapping = require("peft.mapping", extra="adapters")
    named = {str(one.value).lower(): one for one in mapping.PEFT_TYPE_TO_CONFIG_MAPPING}
    if kind not in named:
        raise InvalidSpecError(f"model.adapter is {kind!r}, but the installed peft has {', '.join(sorted(named))}")
    tuner = mapping.PEFT_TYPE_TO_TUNER_MAPPING.get(named[kind])
    if hasattr(tuner, "update_and_allocate"):
        raise InvalidSpecError(f"model.adapter {kind!r} needs a call after each step; use lora")
    return mapping.PEFT_TYPE_TO_CONFIG_MAPPING[named[kind]]
