"""The evaluation model: complete weights without wrappers, with the attention of production."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor

from nlp_training.trainer.adapters import has_adapter, merged


def is_sharded(model: nn.Module) -> bool:
    """Return whether each process holds a shard of the weights (FSDP2).

    Example:
        >>> is_sharded(nn.Linear(2, 2))
        False
    """
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def plain_model(accelerator: Accelerator, model: nn.Module | None) -> Any:
    """Return the model without the wrappers of training: distributed processes, `torch.compile`."""
    return accelerator.unwrap_model(model, keep_torch_compile=False)


def without_weights(model: nn.Module) -> nn.Module:
    """Return a copy of a model before sharding, with parameters on the meta device and real buffers.

    Example:
        >>> without_weights(nn.Linear(2, 2)).weight.device
        device(type='meta')
    """
    empty: dict[int, object] = {
        id(one): nn.Parameter(torch.empty_like(one, device="meta"), requires_grad=one.requires_grad)
        for one in model.parameters()
    }
    return copy.deepcopy(model, empty)


def gathered_model(model: nn.Module, outline: nn.Module) -> Any:
    """Gather all weights of a sharded model in every process, on its device; every process must call this.

    Args:
        model: the model after `torch.distributed.fsdp.fully_shard`.
        outline: the result of `without_weights` before sharding.

    Returns:
        A model in evaluation mode, which shares no tensors with the trained one.
    """
    weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    device = next(model.parameters()).device
    gathered: Any = copy.deepcopy(outline)
    gathered.load_state_dict(weights, assign=True)
    if hasattr(gathered, "tie_weights"):
        gathered.tie_weights()
    return gathered.to(device).eval()


class EvaluationModel:
    """The model that `DocumentTrainer` evaluates and saves, derived from the model that it trains.

    Args:
        model: the model before training, without wrappers.
        training_attention: the attention implementation while training, if it differs from that of the model.
        sharded: whether each process will hold a shard of the weights.
        average: the model with averaged weights, which replaces the trained one.
    """

    def __init__(
        self, model: nn.Module, *, training_attention: str | None, sharded: bool, average: nn.Module | None = None
    ) -> None:
        self._average = average
        self.outline = without_weights(model) if sharded else None
        self._own = getattr(model.config, "_attn_implementation", None)
        self._training = training_attention if self._own is not None else None
        self._set_attention(model, self._training)

    def _set_attention(self, model: Any, implementation: str | None) -> None:
        if self._training is not None:
            model.set_attn_implementation(implementation)

    @contextmanager
    def of(self, accelerator: Accelerator, model: nn.Module | None) -> Iterator[nn.Module]:
        """Yield a model in evaluation mode; the state of the trained model is restored afterwards.

        If the weights are sharded, every process must call this, and holds all of them in this context.

        Args:
            accelerator: the accelerator that wrapped the model.
            model: the trained model.
        """
        if self.outline is not None and model is not None and is_sharded(model):
            yield gathered_model(model, self.outline)
            return
        plain = plain_model(accelerator, model) if self._average is None else self._average
        autocasting_forward = vars(plain).pop("forward", None)  # accelerate replaces `forward` for training
        self._set_attention(plain, self._own)
        was_training = plain.training
        try:
            yield merged(plain) if has_adapter(plain) else plain.eval()
        finally:
            plain.train(was_training)
            self._set_attention(plain, self._training)
            if autocasting_forward is not None:
                plain.forward = autocasting_forward
