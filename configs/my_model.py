"""Custom model class whose source is saved with the model. configs/experiment.yaml names this file."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from nlp_inference.architectures import architecture


@architecture
class GatedTagger(BertPreTrainedModel):
    """Token classifier that multiplies its hidden states by a learned gate."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.gate = nn.Linear(config.hidden_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Return the logits of each token, and the loss if there are labels."""
        found: Any = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        states = found.last_hidden_state
        logits = self.classifier(states * torch.sigmoid(self.gate(states)))
        loss = None if labels is None else nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return TokenClassifierOutput(loss=loss, logits=logits)
