"""Late binding of functions of higher-level packages that lower-level methods call, as in `Document._repr_html_`.

The package `__init__` binds the functions by name. They are imported on the first call, so that imports run downward
only.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from nlp_inference._utils.named_objects import import_object

_PATHS: dict[str, str] = {}


def bind(paths: Mapping[str, str]) -> None:
    """Bind names to functions.

    Args:
        paths: `module:function` by name.
    """
    _PATHS.update(paths)


@cache
def bound(name: str) -> Callable[..., Any]:
    """Import the function that `bind` named.

    Example:
        >>> bind({"square_root": "math:sqrt"})
        >>> bound("square_root")(9)
        3.0
    """
    found: Callable[..., Any] = import_object(_PATHS[name])
    return found
