"""Functions of upper rooms that methods of lower ones offer, such as `Document._repr_html_`.

The top of the package says where each function is. It is imported on the first call, so that imports run downward only.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from nlp_inference._utils.named_objects import import_object

_PLACES: dict[str, str] = {}


def bind(places: Mapping[str, str]) -> None:
    """Say where functions are.

    Args:
        places: `module:function` by name.
    """
    _PLACES.update(places)


@cache
def bound(name: str) -> Callable[..., Any]:
    """Import the function that `bind` named.

    Example:
        >>> bind({"square_root": "math:sqrt"})
        >>> bound("square_root")(9)
        3.0
    """
    found: Callable[..., Any] = import_object(_PLACES[name])
    return found
