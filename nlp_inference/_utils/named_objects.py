"""Objects that a string or an entry point names, imported when they are first used."""

from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from nlp_inference.errors import InvalidSpecError, NlpInferenceError


def import_object(place: str) -> Any:
    """Import what `module:attribute` names.

    Example:
        >>> import_object("math:sqrt")(9)
        3.0
    """
    module, attribute = place.split(":")
    return getattr(import_module(module), attribute)


def declaration(point: EntryPoint, *, kind: str) -> str:
    """The beginning of a message about an entry point: which installed package declares which object of a kind."""
    package = point.dist.name if point.dist is not None else "unknown"
    return f"the installed package {package!r} declares the {kind} {point.name!r} as {point.value!r}"


def load_entry_point(point: EntryPoint, *, kind: str, error_type: type[NlpInferenceError] = InvalidSpecError) -> Any:
    """Import what an installed package declares.

    Args:
        point: the entry point.
        kind: what it is called in messages, such as `backend`.
        error_type: what is raised.

    Raises:
        NlpInferenceError: it cannot be imported; of the type `error_type`.
    """
    try:
        return point.load()
    except Exception as error:
        problem = f"which cannot be imported: {type(error).__name__}: {error}; repair or remove that package"
        raise error_type(f"{declaration(point, kind=kind)}, {problem}") from error
