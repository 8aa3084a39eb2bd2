"""Loading of base models whose files may be damaged, or made for another task."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from nlp_inference._utils.foreign_errors import as_artefact_errors, is_out_of_memory
from nlp_inference._utils.saved_files import check_saved_files
from nlp_inference.errors import ArtefactError
from nlp_inference.hub import SETTINGS_FILES, WEIGHT_FILES
from nlp_training._utils.base_model import locate_base

_SHOWN = 3


class BaseModelWarning(UserWarning):
    """A base model was fine-tuned for something else, so that weights which it has are not used."""


@contextmanager
def reading_base(base: str) -> Iterator[None]:
    """Convert the errors of other libraries about a damaged base model to errors that name it.

    Errors of the operating system and of the Hub are unchanged, because they name the file or the model, and so are
    `TypeError` and a lack of memory, which may have another cause.

    Raises:
        ArtefactError: the base is damaged, or has no class in the installed transformers.
    """
    unchanged: Exception | None = None
    with as_artefact_errors(f"the base model {base!r}"):
        try:
            yield
        except Exception as error:
            if not isinstance(error, OSError | TypeError) and not is_out_of_memory(error):
                raise
            unchanged = error
    if unchanged is not None:
        raise unchanged


def load_base_tokenizer(base: str, *, revision: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a base model.

    Raises:
        ArtefactError: it is damaged, or the base has none, in which case transformers makes one that knows no word.
    """
    located = locate_base(base)
    if Path(located).is_dir():
        check_saved_files(Path(located), (*SETTINGS_FILES, *WEIGHT_FILES))
    with reading_base(base):
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(located, revision=revision)
        except TypeError as error:
            raise ArtefactError(f"the tokenizer of the base model {base!r} cannot be read: {error}") from error
    if len(tokenizer.get_vocab()) <= len(tokenizer.all_special_ids):
        raise ArtefactError(
            f"the base model {base!r} has no tokenizer; save that of the model that it was made from next to it: "
            "AutoTokenizer.from_pretrained(BASE).save_pretrained(FOLDER)"
        )
    return tokenizer


def new_head_weights(model: Any, mismatched: Iterable[tuple[str, Any, Any]], *, base: str) -> set[str]:
    """Return the weights of the head that start from random values because the base has others.

    Args:
        model: the model.
        mismatched: the names of weights with other shapes, with the stored shape and that of the model.
        base: the base, for messages.

    Warns:
        BaseModelWarning: there are such weights: the base was fine-tuned for another task, or for other labels.

    Raises:
        ArtefactError: weights of the encoder have other shapes than config.json says.
    """
    found = {name: f"{name} {[*stored]}, not {[*built]}" for name, stored, built in mismatched}
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    of_encoder = [shown for name, shown in sorted(found.items()) if prefix == "." or name.startswith(prefix)]
    if of_encoder:
        raise ArtefactError(
            f"the weights of the base model {base!r} do not fit its config.json: {'; '.join(of_encoder[:_SHOWN])}; "
            "load the model again, or correct config.json"
        )
    if found:
        warnings.warn(
            f"the base model {base!r} has the head of another task or of other labels, and the new head starts from "
            f"random weights: {'; '.join(sorted(found.values())[:_SHOWN])}",
            BaseModelWarning,
            stacklevel=4,
        )
    return {*found}
