"""Families of transformers whose outputs depend on padding despite the attention mask, or whose batches are limited."""

from torch import nn

_MIXING = frozenset({"bigbird_pegasus", "canine", "convbert", "fnet", "funnel", "nystromformer", "reformer", "yoso"})
"""Values of `model_type` of families with pooling or convolution over neighboring tokens, or with a Fourier transform
or landmarks over all tokens."""

_MIXING_CLASSES = frozenset({"XLNetForSequenceClassification"})
"""Names of further model classes: this one classifies by the last token, which is a padding token in a padded row."""

_COUNTING = "ForSequenceClassification"


def mixes_padding(model: nn.Module) -> bool:
    """Return whether a model belongs to a family that is known to mix padding into its outputs.

    `tests/inference/test_padding_families.py` tests the families of transformers with a head for tokens or texts.
    Models are also tested after loading; see `nlp_inference.backends.padding`. BigBird mixes padding only with
    block-sparse attention, which it uses for long rows only, and MobileBERT, whose input for a token includes the
    embedding of the next token, only if the embedding of the padding token is not zero.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> mixes_padding(BertModel(BertConfig(num_hidden_layers=1)))
        False
    """
    config = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if kind == "big_bird":
        return getattr(config, "attention_type", None) == "block_sparse"
    if kind == "mobilebert":
        return bool(getattr(config, "trigram_input", False)) and _embeds_padding(model)
    return kind in _MIXING or type(model).__name__ in _MIXING_CLASSES


def counted_token(model: nn.Module) -> int | None:
    """Return the token of which all rows of a batch must have the same number; `None` if there is none.

    Text classifiers with an encoder and a decoder (BART, T5) read the hidden state of the last end-of-text token, and
    fail on batches whose rows have different numbers of it: a text pair next to a text, or a text that contains `</s>`.
    """
    config = getattr(model, "config", None)
    if not getattr(config, "is_encoder_decoder", False) or not type(model).__name__.endswith(_COUNTING):
        return None
    end = getattr(config, "eos_token_id", None)
    return end if isinstance(end, int) else None


def _embeds_padding(model: nn.Module) -> bool:
    embeddings = [one for one in model.modules() if isinstance(one, nn.Embedding) and one.padding_idx is not None]
    return any(bool(one.weight[one.padding_idx].any()) for one in embeddings)
