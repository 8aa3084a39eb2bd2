"""What a user states about a checkpoint, instead of what would be deduced."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec

Names = tuple[str, ...] | Mapping[str, str]
"""Names of labels in the order of their ids, or by the id or the name that the checkpoint has."""


@dataclass(frozen=True)
class AdoptOptions:
    """What a user states about a checkpoint. `None` and empty values are deduced.

    Args:
        task: the name of the task.
        labels: the names of the labels, or the tags of a token classifier: in the order of their ids, or as a mapping
            from ids or from the names of the checkpoint. A mapping may be partial.
        scheme: the tagging scheme of a token classifier: `IO`, `IOB1`, `BIO`, `BILOU` or `BIOES`.
        outside: the name of the tag outside of spans.
        pairs: whether the model reads text pairs.
        max_length: tokens of a window, special tokens included.
        pad_token: the token to pad with, if the tokenizer has none.
        lower_case: whether texts are lower-cased before the tokenizer.
        add_prefix_space: whether the tokenizer adds a space before the text.
        preprocess: transforms of the text before the model, as specifications.
        postprocess: transforms of the prediction, as specifications.
        settings: other fields of the task, such as `{"aggregation": "mean"}`. They are not tuned.
        revision: the branch, tag or commit of a Hub id.
        seed: of samples and splits.
    """

    task: str | None = None
    labels: Names | None = None
    scheme: str | None = None
    outside: str | None = None
    pairs: bool | None = None
    max_length: int | None = None
    pad_token: str | None = None
    lower_case: bool | None = None
    add_prefix_space: bool | None = None
    preprocess: tuple[Spec, ...] = ()
    postprocess: tuple[Spec, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    revision: str = "main"
    seed: int = 0


def read_names(given: str) -> Names:
    """Read names of labels: a file, or names with commas between them, `id=name` or `old=new` for a mapping.

    A file is JSON (a list, or an object such as `id2label`), or has a name in each line.

    Raises:
        InvalidSpecError: the file cannot be read, or contains something else.

    Example:
        >>> read_names("negative,positive"), read_names("LABEL_0=negative,LABEL_1=positive")
        (('negative', 'positive'), {'LABEL_0': 'negative', 'LABEL_1': 'positive'})
    """
    if Path(given).is_file():
        return _names_in(Path(given))
    if given.endswith((".json", ".txt")):
        raise InvalidSpecError(f"--labels names the file {given!r}, which does not exist")
    return _as_names([name.strip() for name in given.split(",") if name.strip()], source=given)


def _names_in(path: Path) -> Names:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix != ".json":
        return _as_names([line.strip() for line in text.splitlines() if line.strip()], source=str(path))
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidSpecError(f"{str(path)!r} is not JSON: {error}; write a list of names, or an object") from error
    if isinstance(content, dict) and isinstance(content.get("id2label"), dict):
        content = content["id2label"]
    if isinstance(content, dict) and all(isinstance(name, str) for name in content.values()):
        return content
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return tuple(content)
    raise InvalidSpecError(f"{str(path)!r} contains {str(content)[:80]}; write a list of names, or an object of names")


def _as_names(parts: list[str], *, source: str) -> Names:
    pairs = [part.partition("=") for part in parts]
    if not parts:
        raise InvalidSpecError(f"there are no names of labels in {source!r}; write them with commas, such as a,b,c")
    if not all(equals for _, equals, _ in pairs):
        return tuple(parts)
    return {old.strip(): new.strip() for old, _, new in pairs}
