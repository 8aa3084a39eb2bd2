"""The limits of a torch model, computed from its modules: its vocabulary, positions and token types."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from nlp_inference.architectures.input_limits import ModelLimits

_POSITIONS = frozenset({"position_embeddings", "position_embedding", "wpe", "embed_positions", "positions_embed"})
"""Attribute names of the absolute position embeddings in different families."""

_STATED = {"ctrl": "n_positions", "mpt": "max_seq_len"}
"""For families with another table of positions, the key of the configuration with its size, by `model_type`."""


def model_limits(model: nn.Module) -> ModelLimits:
    """Return the limits of a model on any device, including `meta`.

    Models with relative or rotary positions have no table of positions; their configuration then states the number of
    positions for which they were trained.

    Example:
        >>> from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel
        >>> with torch.device("meta"):
        ...     bert, roberta = BertModel(BertConfig()), RobertaModel(RobertaConfig(max_position_embeddings=514))
        >>> model_limits(bert).positions, model_limits(roberta).positions
        (512, 512)
    """
    decoder = _writer(model)
    positions = _least_positions(model if decoder is None else model.get_encoder())  # type: ignore[operator]
    config = getattr(model, "config", None)
    if isinstance(config, PreTrainedConfig):
        config = config.get_text_config()
        positions = getattr(config, _STATED.get(config.model_type, ""), positions)
    stated = getattr(config, "max_position_embeddings", None)
    trained = stated if positions is None and isinstance(stated, int) and stated > 0 else None
    if decoder is None:
        return ModelLimits(_vocabulary(model), positions, trained, _token_types(model))
    sizes = [size for part in (model, decoder) if (size := _vocabulary(part)) is not None]
    return ModelLimits(min(sizes, default=None), positions, trained, _token_types(model), _least_positions(decoder))


def _writer(model: nn.Module) -> nn.Module | None:
    """Return the decoder of a model that writes texts; a classifier gives the same tokens to encoder and decoder."""
    is_pair = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if not is_pair or not isinstance(model, PreTrainedModel) or not model.can_generate():
        return None
    decoder: nn.Module = model.get_decoder()
    return decoder


def _least_positions(model: nn.Module) -> int | None:
    return min((found for module in model.modules() for found in _positions(module)), default=None)


def _vocabulary(model: nn.Module) -> int | None:
    try:
        embeddings = model.get_input_embeddings()  # type: ignore[operator]  # a method of transformers' models
    except (AttributeError, NotImplementedError):
        return None
    return embeddings.num_embeddings if isinstance(embeddings, nn.Embedding) else None


def _token_types(model: nn.Module) -> int | None:
    tables = [module for name, module in model.named_modules() if name.rpartition(".")[2] == "token_type_embeddings"]
    return min((one.num_embeddings for one in tables if isinstance(one, nn.Embedding)), default=None)


def _positions(module: nn.Module) -> list[int]:
    """Return the sizes of the position tables of a module."""
    children = {**module._modules, **module._buffers}  # noqa: SLF001 - direct children by name
    return [
        found
        for name in _POSITIONS & children.keys()
        if (found := _rows(children[name], position_ids=children.get("position_ids"))) is not None
    ]


def _rows(table: Any, *, position_ids: Any) -> int | None:
    """Return the usable positions of a table; RoBERTa, for example, does not use the rows up to the padding row."""
    if isinstance(table, torch.Tensor):
        return table.shape[-2] if table.dim() >= 2 else None
    weight = getattr(table, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.dim() != 2 or _grows(table):
        return None
    padding = getattr(table, "padding_idx", None)
    offset = getattr(table, "offset", 0 if padding is None else padding + 1)
    rows = weight.shape[0] - (offset if isinstance(offset, int) else 0)
    return min(rows, position_ids.shape[-1]) if isinstance(position_ids, torch.Tensor) else rows


def _grows(table: Any) -> bool:
    """Return whether the table extends its sinusoids on demand."""
    return hasattr(table, "make_weights")
