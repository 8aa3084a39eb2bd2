"""Formats of installed packages, found by their entry points."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points

from nlp_inference._utils.named_objects import declaration, load_entry_point
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format

GROUP = "nlp_training.formats"
"""The group of the entry points, each of which names a `Format` with the same name."""


def installed_format_names() -> list[str]:
    """Return the names that installed packages declare, without importing the packages."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def installed_format(name: str) -> Format | None:
    """Return the format with this name, if an installed package declares one.

    Raises:
        InvalidDataError: the package cannot be imported or does not contain the declared format.
    """
    return next((_load(point) for point in entry_points(group=GROUP, name=name)), None)


def installed_formats() -> Iterator[Format]:
    """Yield the formats of all installed packages. One that cannot be loaded is skipped; loading it by name fails."""
    for point in entry_points(group=GROUP):
        with suppress(InvalidDataError):
            yield _load(point)


def _load(point: EntryPoint) -> Format:
    found = load_entry_point(point, kind="format", error_type=InvalidDataError)
    if not isinstance(found, Format) or found.name != point.name:
        raise InvalidDataError(
            f"{declaration(point, kind='format')}, which is {found!r:.80}; expected a nlp_training.data.formats.Format "
            "with that name"
        )
    return found
