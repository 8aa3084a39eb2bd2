"""The weights of a training as production runs them: whole, in no wrapper, with production's attention."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor


def is_sharded(model: nn.Module) -> bool:
    """Whether the processes hold a part of the weights each (FSDP2).

    Example:
        >>> is_sharded(nn.Linear(2, 2))
        False
    """
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def plain_model(accelerator: Accelerator, model: nn.Module | None) -> Any:
    """The model itself, out of what training wrapped it in: processes, `torch.compile`."""
    return accelerator.unwrap_model(model, keep_torch_compile=False)


def without_weights(model: nn.Module) -> nn.Module:
    """A copy of a model before it is sharded, that takes no memory for its parameters; its buffers are real.

    Example:
        >>> without_weights(nn.Linear(2, 2)).weight.device
        device(type='meta')
    """
    empty: dict[int, object] = {
        id(one): nn.Parameter(torch.empty_like(one, device="meta"), requires_grad=one.requires_grad)
        for one in model.parameters()
    }
    return copy.deepcopy(model, empty)


def whole_model(model: nn.Module, outline: nn.Module) -> Any:
    """A plain model with all weights of a sharded one, on its device, in every process; all of them must call this.

    Args:
        model: as `torch.distributed.fsdp.fully_shard` left it.
        outline: what `without_weights` made of it before.

    Returns:
        A model ready to predict, which shares nothing with the one that is trained.
    """
    weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    device = next(model.parameters()).device
    whole: Any = copy.deepcopy(outline)
    whole.load_state_dict(weights, assign=True)
    if hasattr(whole, "tie_weights"):
        whole.tie_weights()
    return whole.to(device).eval()


class ServedWeights:
    """What `DocumentTrainer` evaluates and saves, out of the model that it trains.

    Args:
        model: before it is trained, or put into any wrapper.
        training_attention: attention implementation while training, if it is not to be the model's own.
        sharded: whether the processes will hold a part of the weights each.
    """

    def __init__(self, model: nn.Module, *, training_attention: str | None, sharded: bool) -> None:
        self.outline = without_weights(model) if sharded else None
        self._own = getattr(model.config, "_attn_implementation", None)
        self._training = training_attention if self._own is not None else None
        self._set_attention(model, self._training)

    def _set_attention(self, model: Any, implementation: str | None) -> None:
        if self._training is not None:
            model.set_attn_implementation(implementation)

    @contextmanager
    def of(self, accelerator: Accelerator, model: nn.Module | None) -> Iterator[nn.Module]:
        """A model ready to predict; the one that is trained is afterwards as it was.

        Where the weights are sharded, every process must call this, and holds all of them for as long as it lasts.

        Args:
            accelerator: what wrapped the model.
            model: as it is trained.
        """
        if self.outline is not None and model is not None and is_sharded(model):
            yield whole_model(model, self.outline)
            return
        plain = plain_model(accelerator, model)
        autocasting_forward = vars(plain).pop("forward", None)  # accelerate's, for training only
        self._set_attention(plain, self._own)
        was_training = plain.training
        try:
            yield plain.eval()
        finally:
            plain.train(was_training)
            self._set_attention(plain, self._training)
            if autocasting_forward is not None:
                plain.forward = autocasting_forward
