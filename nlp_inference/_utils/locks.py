"""Exclusive locks, with which one process at a time writes an output; a process that dies releases its lock."""

import errno
import os
import socket
import stat
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from nlp_inference.errors import OutputError, OutputLockedError

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_NO_FILE = {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO}
_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_OWNER_BYTES = 4096

_held: set[int] = set()
"""File descriptors of the locks of this process."""

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a locked byte cannot be read, so lock one after the content
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LockWarning(UserWarning):
    """A file system has no locks, so that a second writer of the same output is not refused."""


class LockOwner(BaseModel):
    """The process that holds a lock, as the lock file describes it.

    Args:
        pid: the process id.
        host: the name of its machine.
        since: the time at which it acquired the lock, in UTC.
        purpose: the purpose of the process, such as `training`.

    Example:
        >>> print(LockOwner(pid=7, host="gpu-3", since="2025-11-29T10:00:00Z", purpose="training"))
        process 7 on gpu-3 (training, since 2025-11-29T10:00:00+00:00)
    """

    pid: int
    host: str
    since: AwareDatetime
    purpose: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.purpose}, since {self.since.isoformat(timespec='seconds')})"


@contextmanager
def exclusive_lock(path: Path, *, purpose: str) -> Iterator[None]:
    """Hold a lock file while the block runs; fail immediately if another process holds it.

    The lock is a lock of the operating system (`flock`, on Windows `msvcrt.locking`), not the existence of the file, so
    a process that dies in any way releases it. Forked children do not inherit it. On a file system without locks, the
    block runs without a lock after a warning; on a network file system the guarantees are those of that system.

    Args:
        path: the lock file; it is created, with its folder, and removed afterwards.
        purpose: the purpose of this process, for the message in other processes.

    Raises:
        OutputLockedError: another process, or another thread of this process, holds the lock; the message names it.
        OutputError: the path is a symbolic link or another kind of file.
        OSError: the lock file cannot be created.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with exclusive_lock(Path(folder) / ".lock", purpose="training"):
        ...         print([path.name for path in Path(folder).iterdir()])
        ...     print(list(Path(folder).iterdir()))
        ['.lock']
        []
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path)
    _held.add(descriptor)
    _release_in_children()
    try:
        _write_owner(descriptor, purpose)
        yield
    finally:
        if descriptor in _held:  # false in a forked child
            _held.remove(descriptor)
            _release(path, descriptor)


def _acquire(path: Path) -> int:
    """Open and lock the file; try again if its last owner removes it in between."""
    while True:
        descriptor = _open(path)
        try:
            _lock(descriptor)
            if _is_at(path, descriptor):
                return descriptor
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                warnings.warn(
                    f"{str(path)!r} is on a file system without locks: no other process must write there meanwhile",
                    LockWarning,
                    stacklevel=4,
                )
                return descriptor
            os.close(descriptor)
            if error.errno not in _BUSY:
                raise
            raise OutputLockedError(
                f"{str(path.parent)!r} is in use by {_owner(path)}, which holds the lock file {path.name!r}; wait "
                "until it ends, stop it, or write to another output"
            ) from error
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open the lock file; another kind of file is refused, because a file behind a link would be overwritten."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        if error.errno in _NO_FILE or path.is_dir() or path.is_symlink():
            raise _not_a_file(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path)
    return descriptor


def _not_a_file(path: Path) -> OutputError:
    return OutputError(f"the lock file {str(path)!r} is a link, a folder or a device; remove it, or write elsewhere")


def _release(path: Path, descriptor: int) -> None:
    if sys.platform == "win32":  # Windows cannot remove an open file
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        return
    with suppress(OSError):
        if _is_at(path, descriptor):
            path.unlink()
    os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether the open file still has this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_owner(descriptor: int, purpose: str) -> None:
    owner = LockOwner(pid=os.getpid(), host=socket.gethostname(), since=datetime.now(UTC), purpose=purpose)
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, owner.model_dump_json().encode() + b"\n")


def _owner(path: Path) -> str:
    """Return the owner in the lock file, which is empty for a moment after it is locked."""
    try:
        with path.open("rb") as file:
            return str(LockOwner.model_validate_json(file.read(_OWNER_BYTES)))
    except (OSError, ValidationError):
        return "another process"


@cache
def _release_in_children() -> None:
    """Close the descriptors in forked children, which share the lock and may outlive their parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    while _held:
        os.close(_held.pop())
