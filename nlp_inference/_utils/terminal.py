"""A console for texts, labels and names of others, which may contain control sequences of terminals."""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console as _Console
from rich.console import ConsoleOptions
from rich.segment import Segment

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Console(_Console):
    """A console of rich that removes control characters from what it prints, except tabs and line feeds.

    A label such as `"\\x1b[2J"` would otherwise clear the screen, or change what was printed before. The styles of rich
    are not affected.

    Example:
        >>> Console(width=20).print("\\x1b[2Jname")
        [2Jname
    """

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object, with plain texts."""
        for segment in super().render(renderable, options):
            if segment.control or not _CONTROLS.search(segment.text):
                yield segment
            else:
                yield segment._replace(text=_CONTROLS.sub("", segment.text))
