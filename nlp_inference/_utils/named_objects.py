"""Import of objects that a string or an entry point names."""

from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from nlp_inference.errors import InvalidSpecError, NlpInferenceError


def import_object(path: str) -> Any:
    """Import the object at `module:attribute`.

    Example:
        >>> import_object("math:sqrt")(9)
        3.0
    """
    module, attribute = path.split(":")
    return getattr(import_module(module), attribute)


def declaration(point: EntryPoint, *, kind: str) -> str:
    """Return the beginning of a message about an entry point, with its package, kind, name and value."""
    package = point.dist.name if point.dist is not None else "unknown"
    return f"the installed package {package!r} declares the {kind} {point.name!r} as {point.value!r}"


def load_entry_point(point: EntryPoint, *, kind: str, error_type: type[NlpInferenceError] = InvalidSpecError) -> Any:
    """Import the object that an installed package declares.

    Args:
        point: the entry point.
        kind: the kind of the object in messages, such as `backend`.
        error_type: the type of the raised error.

    Raises:
        NlpInferenceError: the object cannot be imported; the error is of the type `error_type`.
    """
    try:
        return point.load()
    except Exception as error:
        problem = f"which cannot be imported: {type(error).__name__}: {error}; repair or remove that package"
        raise error_type(f"{declaration(point, kind=kind)}, {problem}") from error
