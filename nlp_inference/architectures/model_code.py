"""The source of a user's model class: which files define it, and whether they are those that a model was saved with."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers.dynamic_module_utils import get_relative_import_files

from nlp_inference._utils.digests import module_digest, short_digest
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.errors import ArtefactError

_LIBRARIES = frozenset({"torch", "transformers"})
"""What a model class of theirs does is decided by their version, which the fingerprint holds too."""


def with_imports(source: Path) -> list[Path]:
    """A file and those that it imports relatively, directly or not."""
    return [source, *map(Path, dict.fromkeys(get_relative_import_files(source)))]


def sources_in(folder: Path) -> list[Path]:
    """The files of an artefact that define the model class which its `config.json` names, if it came with its source.

    Raises:
        ArtefactError: `config.json` cannot be read.
    """
    try:
        config: Any = json.loads(read_saved_file(folder / "config.json"))
        named = [folder / f"{str(one).partition('.')[0]}.py" for one in (config.get("auto_map") or {}).values()]
    except (OSError, ValueError, AttributeError) as error:
        raise ArtefactError(f"config.json cannot be read: {error}; save the model again") from error
    sources = [path for path in named if path.parent == folder and path.is_file()]
    return list(dict.fromkeys(path for source in sources for path in with_imports(source)))


def class_digest(model: type) -> str | None:
    """The SHA-256 of the source of a model class, without comments and formatting; see `module_digest`.

    What counts is the file that defines it, and what that imports relatively. `None` for a class of torch or
    transformers, and for one whose source cannot be read.

    Example:
        >>> from transformers import BertModel
        >>> class_digest(BertModel) is None
        True
    """
    path = getattr(sys.modules.get(model.__module__), "__file__", None)
    if path is None or model.__module__.partition(".")[0] in _LIBRARIES:
        return None
    return _digest(with_imports(Path(path)))


def check_sources(folder: Path, saved: str | None, *, source: str) -> None:
    """Compare the code of a model class with that which the model was saved with, before it runs.

    Args:
        folder: the artefact.
        saved: what `class_digest` said when it was saved; `None` checks nothing.
        source: of the model, for the message.

    Raises:
        ArtefactError: it is other code, or there is none.
    """
    files = sources_in(folder)
    found = _digest(files)
    if saved is not None and found != saved:
        named = ", ".join(repr(path.name) for path in files) or "no file"
        raise ArtefactError(
            f"the code of the model class of {source!r} ({named}) is not what was saved with it, and was not run: its "
            f"digest is {short_digest(found)}, but processor_config.json names {short_digest(saved)}; fetch the model "
            "again, or save it with the class as it is now"
        )


def changed_source(model: type, saved: str | None) -> list[str]:
    """Name a class that is not what it was when a model was saved with it, as `Fingerprint.changes` does."""
    found = class_digest(model)
    if None in (saved, found) or saved == found:
        return []
    return [f"source of {model.__name__} {short_digest(saved)} -> {short_digest(found)}"]


def _digest(files: Iterable[Path]) -> str | None:
    """Of what the files say, whatever they are called; `None` if there is none, or one is no Python."""
    try:
        parts = sorted({module_digest(path.read_text(encoding="utf-8")) for path in files})
    except (OSError, SyntaxError, ValueError):
        return None
    return hashlib.sha256("".join(parts).encode()).hexdigest() if parts else None
