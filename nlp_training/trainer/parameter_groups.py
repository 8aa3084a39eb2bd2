"""Which parameters are trained, and at which learning rate."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch

from nlp_inference._utils.shorten import shorten
from nlp_inference.architectures.checkpoint_tensors import LAYER_NUMBER
from nlp_inference.errors import InvalidSpecError
from nlp_training.config import LearningRates


def freeze_parameters(model: Any, freeze: int | Sequence[str]) -> list[str]:
    """Exclude parameters from training.

    Args:
        model: a model of transformers.
        freeze: names of parameters, or patterns of names such as `bert.embeddings.*`; or how many of the lowest layers
            of the encoder to freeze, with the embeddings (0: the embeddings only).

    Returns:
        The names of the frozen parameters.

    Raises:
        InvalidSpecError: a pattern matches no parameter, the encoder has fewer layers, or nothing is left to train.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=1, intermediate_size=8)
        >>> model = BertForSequenceClassification(config)
        >>> names = freeze_parameters(model, 1)
        >>> sum(".embeddings." in name for name in names), sum(".layer.0." in name for name in names)
        (5, 16)
    """
    names = [name for name, _ in model.named_parameters()]
    frozen = _lowest(model, names, freeze) if isinstance(freeze, int) else _matching(names, freeze)
    if len(frozen) == len(names):
        raise InvalidSpecError(f"model.freeze is {freeze!r}, which freezes all parameters; leave some to be trained")
    for name in frozen:
        model.get_parameter(name).requires_grad_(requires_grad=False)
    return frozen


def reinitialize_layers(model: Any, count: int) -> list[str]:
    """Give the top layers of the encoder new random weights.

    Their pretrained weights serve the pretraining objective; few documents are learned faster and more stably without
    them (Zhang et al., 2021, https://arxiv.org/abs/2006.05987).

    Args:
        model: a model of transformers.
        count: the number of layers.

    Returns:
        The names of the changed parameters.

    Raises:
        InvalidSpecError: the encoder has fewer layers.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=1, intermediate_size=8)
        >>> names = reinitialize_layers(BertForSequenceClassification(config), 1)
        >>> len(names), all(".layer.1." in name for name in names)
        (16, True)
    """
    layers = {name: layer for name in _encoder_names(model) if (layer := _layer(name)) is not None}
    total = len(set(layers.values()))
    if count > total:
        raise InvalidSpecError(f"model.reinitialize_layers is {count}, but the encoder has {total} layers")
    names = [name for name, layer in layers.items() if layer >= total - count]
    for name in names:
        vars(model.get_parameter(name)).pop("_is_hf_initialized", None)  # transformers skips parameters with this mark
    modules = dict.fromkeys(name.rpartition(".")[0] for name in names)
    for name in modules:
        model._init_weights(model.get_submodule(name))  # noqa: SLF001 - the only initialization that all models have
    return names


def parameter_groups(
    model: Any, rates: LearningRates, *, learning_rate: float, weight_decay: float, decayed: Sequence[str]
) -> list[dict[str, Any]]:
    """Divide the trained parameters by learning rate and weight decay, for an optimizer.

    The head has the rate `rates.head`, or that of the run. With the decay `d`, the top layer of the encoder has the
    rate of the run times `d`, the layer below it times `d**2`, and so on down to the embeddings, as in ELECTRA (Clark
    et al., 2020, https://arxiv.org/abs/2003.10555).

    Args:
        model: a model of transformers.
        rates: the section `learning_rates` of a run.
        learning_rate: of the run.
        weight_decay: of the parameters in `decayed`; others have none.
        decayed: names of parameters.

    Returns:
        Groups with `params`, `lr` and `weight_decay`, in the order of the parameters.
    """
    levels = _levels(model)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    decay_names = set(decayed)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            distance = levels.get(name)
            rate = rates.head or learning_rate if distance is None else learning_rate * rates.layer_decay**distance
            key = rate, weight_decay if name in decay_names else 0.0
            groups.setdefault(key, []).append(parameter)
    return [{"params": found, "lr": rate, "weight_decay": decay} for (rate, decay), found in groups.items()]


def _levels(model: Any) -> Mapping[str, int]:
    """Return the distance from the head of each parameter of the encoder: 1 for the top layer."""
    layers = {name: _layer(name) for name in _encoder_names(model)}
    count = 1 + max((layer for layer in layers.values() if layer is not None), default=-1)
    return {
        name: (count - layer if layer is not None else count + 1 if _is_embedding(name) else 1)
        for name, layer in layers.items()
    }


def _lowest(model: Any, names: Sequence[str], count: int) -> list[str]:
    encoder = _encoder_names(model)
    layers = {layer for name in encoder if (layer := _layer(name)) is not None}
    if count > len(layers):
        raise InvalidSpecError(f"model.freeze is {count}, but the encoder has {len(layers)} layers")
    chosen = {name for name in encoder if _is_embedding(name)}
    chosen |= {name for name in encoder if (layer := _layer(name)) is not None and layer < count}
    return [name for name in names if name in chosen]


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InvalidSpecError(
                f"model.freeze has {pattern!r}, which matches no parameter; the names are "
                f"{shorten(', '.join(names), width=600)}"
            )
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _encoder_names(model: Any) -> list[str]:
    prefix = f"{model.base_model_prefix}."
    return [name for name, _ in model.named_parameters() if name.startswith(prefix)]


def _layer(name: str) -> int | None:
    found = LAYER_NUMBER.search(name)
    return int(found[1]) if found else None


def _is_embedding(name: str) -> bool:
    return _layer(name) is None and any(part in name for part in ("embed", ".wte.", ".wpe.", ".shared."))
