"""Atomic replacement of folders: the old folder is intact until the new one is complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp


@contextmanager
def replacing_folder(target: str | Path) -> Iterator[Path]:
    """Yield a new, empty folder that replaces `target` when the block succeeds.

    If the block fails or the process dies in it, `target` is unchanged. If the process dies between the two renames at
    the end, the old folder is intact next to it as `.NAME-old`, and the next call restores it.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with replacing_folder(Path(folder) / "model") as model:
        ...         _ = (model / "a.txt").write_text("whole")
        ...     (Path(folder) / "model" / "a.txt").read_text()
        'whole'
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}-old")
    if old.exists() and target.exists():
        shutil.rmtree(old)  # the process died between the second rename and the removal
    elif old.exists():
        old.rename(target)
    new = Path(mkdtemp(prefix=f".{target.name}-new-", dir=target.parent))
    try:
        yield new
        _sync(new)
        new.chmod(0o755)  # mkdtemp creates a private folder
        _swap(new, target, old)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def remove_unfinished(target: str | Path) -> None:
    """Remove folders that killed processes left while replacing `target`. No other process may be replacing it.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     (Path(folder) / ".model-new-a1b2").mkdir()
        ...     remove_unfinished(Path(folder) / "model")
        ...     list(Path(folder).iterdir())
        []
    """
    target = Path(target)
    for unfinished in target.parent.glob(f".{target.name}-new-*"):
        shutil.rmtree(unfinished, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Rename `target` to `old` and `new` to `target`; restore `target` if that fails."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise


def _sync(folder: Path) -> None:
    """Flush the files to disk before the folder gets its final name."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
