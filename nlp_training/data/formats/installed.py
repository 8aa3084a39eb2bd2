"""Formats of installed packages, by their entry points."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points

from nlp_inference._utils.named_objects import declaration, load_entry_point
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format

GROUP = "nlp_training.formats"
"""The entry points of packages that have formats: each names a `Format` of the same name."""


def installed_format_names() -> list[str]:
    """The names that installed packages declare, without importing the packages."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def installed_format(name: str) -> Format | None:
    """The format of this name, if an installed package declares one.

    Raises:
        InvalidDataError: a package declares it, but cannot be imported or has no such format there.
    """
    return next((_load(point) for point in entry_points(group=GROUP, name=name)), None)


def installed_formats() -> Iterator[Format]:
    """The formats of all installed packages; one that cannot be loaded is left out, and an error only by its name."""
    for point in entry_points(group=GROUP):
        with suppress(InvalidDataError):
            yield _load(point)


def _load(point: EntryPoint) -> Format:
    found = load_entry_point(point, kind="format", error_type=InvalidDataError)
    if not isinstance(found, Format) or found.name != point.name:
        raise InvalidDataError(
            f"{declaration(point, kind='format')}, which is {found!r:.80}; expected a nlp_training.data.formats.Format "
            "of that name"
        )
    return found
