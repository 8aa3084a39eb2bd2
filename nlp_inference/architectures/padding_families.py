"""Families of transformers whose outputs depend on padding despite the attention mask."""

from torch import nn

_MIXING = frozenset({"bigbird_pegasus", "canine", "convbert", "fnet", "funnel", "nystromformer", "reformer", "yoso"})
"""Values of `model_type` of families with pooling or convolution over neighboring tokens, or with a Fourier transform
or landmarks over all tokens."""


def mixes_padding(model: nn.Module) -> bool:
    """Return whether a model belongs to a family that is known to mix padding into its outputs.

    Other families are tested after loading; see `nlp_inference.backends.padding`. BigBird mixes padding only with
    block-sparse attention, which it uses for long rows only.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> mixes_padding(BertModel(BertConfig(num_hidden_layers=1)))
        False
    """
    config = getattr(model, "config", None)
    if getattr(config, "model_type", None) == "big_bird":
        return getattr(config, "attention_type", None) == "block_sparse"
    return getattr(config, "model_type", None) in _MIXING
