"""Families of transformers whose outputs depend on padding, whatever the attention mask says."""

from torch import nn

_MIXING = frozenset({"bigbird_pegasus", "canine", "convbert", "fnet", "funnel", "nystromformer", "reformer", "yoso"})
"""By `model_type`: pooling or convolution over neighboring tokens, a Fourier transform or landmarks over all."""


def mixes_padding(model: nn.Module) -> bool:
    """Whether a model is of a family that is known to mix padding into its outputs.

    Other families are tested when they are loaded; see `nlp_inference.backends.padding`. BigBird belongs to them with
    block-sparse attention, which it has for long rows only.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> mixes_padding(BertModel(BertConfig(num_hidden_layers=1)))
        False
    """
    config = getattr(model, "config", None)
    if getattr(config, "model_type", None) == "big_bird":
        return getattr(config, "attention_type", None) == "block_sparse"
    return getattr(config, "model_type", None) in _MIXING
