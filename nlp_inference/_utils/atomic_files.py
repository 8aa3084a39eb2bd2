"""Files that are there with all that is in them, or not at all."""

import os
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, text: str, *, shared: bool = False) -> None:
    """Write a file so that nobody ever reads half of it, whenever the process dies.

    Args:
        path: of the file; its folder is made.
        text: all that is to be in it.
        shared: whether other processes may write it at the same time. The last one wins; what one leaves that dies
            meanwhile is not taken away by the next.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_whole(Path(folder) / "a.txt", "whole")
        ...     [path.name for path in Path(folder).iterdir()]
        ['a.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex if shared else ''}unfinished")
    with unfinished.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
