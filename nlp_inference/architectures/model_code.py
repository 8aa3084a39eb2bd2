"""The source of a custom model class: the files that define it, and the check of these files after saving."""

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
"""Libraries whose model classes depend on their version, which the fingerprint also records."""


def with_imports(source: Path) -> list[Path]:
    """Return a file and its direct and indirect relative imports."""
    return [source, *map(Path, dict.fromkeys(get_relative_import_files(source)))]


def sources_in(folder: Path) -> list[Path]:
    """Return the source files of the model class that `config.json` of an artefact names, if they were saved with it.

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
    """Return the SHA-256 of the source of a model class, without comments and formatting; see `module_digest`.

    The digest covers the file that defines the class, and its relative imports. It is `None` for a class of torch or
    transformers, and for a class whose source cannot be read.

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
    """Compare the code of a model class with the code at the time of saving, before it runs.

    Args:
        folder: the artefact.
        saved: the saved result of `class_digest`; `None` checks nothing.
        source: the location of the model, for the message.

    Raises:
        ArtefactError: the code differs, or is missing.
    """
    files = sources_in(folder)
    found = _digest(files)
    if saved is not None and found != saved:
        named = ", ".join(repr(path.name) for path in files) or "no file"
        raise ArtefactError(
            f"the code of the model class of {source!r} ({named}) is not the code that was saved with it, and was not "
            f"run: its digest is {short_digest(found)}, but processor_config.json names {short_digest(saved)}; fetch "
            "the model again, or save it with the current class"
        )


def changed_source(model: type, saved: str | None) -> list[str]:
    """Describe the change of a class since a model was saved with it, in the form of `Fingerprint.changes`."""
    found = class_digest(model)
    if None in (saved, found) or saved == found:
        return []
    return [f"source of {model.__name__} {short_digest(saved)} -> {short_digest(found)}"]


def _digest(files: Iterable[Path]) -> str | None:
    """Return the digest of the files, independent of their names; `None` if there is no file or one is not Python."""
    try:
        parts = sorted({module_digest(path.read_text(encoding="utf-8")) for path in files})
    except (OSError, SyntaxError, ValueError):
        return None
    return hashlib.sha256("".join(parts).encode()).hexdigest() if parts else None
