"""SHA-256 of files and of the sources of classes, in hexadecimal."""

import ast
import hashlib
import inspect
import re
import sys
from functools import lru_cache
from pathlib import Path

from nlp_inference.errors import ArtefactError

_SHA256 = re.compile("[0-9a-f]{64}")
_DIGITS = 12
"""Number of digits of a digest in a message."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, which is always read: the name of a blob in the Hub cache proves nothing.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "empty"
        ...     path.touch()
        ...     file_digest(path)
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_digest(value: object) -> str:
    """Shorten a digest for a message; return the string of any other value.

    Example:
        >>> short_digest("ab" * 32), short_digest("1.2.3")
        ('abababababab…', '1.2.3')
    """
    shown = str(value)
    return f"{shown[:_DIGITS]}…" if _SHA256.fullmatch(shown) else shown


def source_digest(cls: type) -> str:
    """Return the SHA-256 of the source that defines `cls`.

    The digest covers the entire module of the class, because its functions and constants affect the class, and the
    modules of its base classes below `Transform`, `PostTransform` or `Task`. Imports of a module are not covered.
    Comments, docstrings, formatting and (except for rare changes of the grammar) the version of Python do not change
    the digest.

    Raises:
        ArtefactError: the source cannot be read, as for a class that was defined at a prompt.

    Example:
        >>> from nlp_inference.transforms import CollapseWhitespace, Lowercase
        >>> source_digest(Lowercase) == source_digest(CollapseWhitespace)
        False
    """
    root = next((base for base in cls.__mro__ if "kind" in vars(base)), object)
    modules = dict.fromkeys(base.__module__ for base in cls.__mro__ if not issubclass(root, base))
    try:
        parts = [module_digest(inspect.getsource(sys.modules[name])) for name in modules]
    except (OSError, TypeError, KeyError, SyntaxError) as error:
        raise ArtefactError(
            f"the source of {cls.__module__}.{cls.__qualname__} cannot be read ({error}); define it in a file"
        ) from error
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


@lru_cache(maxsize=256)
def module_digest(source: str) -> str:
    """Return the SHA-256 of the source of a module, without comments, docstrings and formatting.

    Example:
        >>> module_digest("x = 1  # one") == module_digest("x=1") != module_digest("x = 2")
        True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[_has_docstring(node) :]
        for name, value in list(ast.iter_fields(node)):
            if value == [] or name == "ctx":  # only some versions of Python dump these
                delattr(node, name)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
