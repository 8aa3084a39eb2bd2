"""Atomic writing of files."""

import os
from pathlib import Path
from uuid import uuid4


def write_atomically(path: Path, text: str, *, shared: bool = False) -> None:
    """Write a file atomically, so that no reader sees a partial file even if the process dies.

    Args:
        path: the file; its folder is created.
        text: the complete content.
        shared: whether other processes may write it at the same time. The last one wins; the temporary file of a
            process that dies is not removed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "a.txt", "whole")
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
