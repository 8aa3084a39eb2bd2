"""Checks of the files of a saved model, which may be untrusted: regular files of bounded size only."""

import stat
from collections.abc import Iterable
from pathlib import Path

from nlp_inference.errors import ArtefactError

CONFIG_BYTES = 32 * 2**20
"""Largest `config.json`, `processor_config.json` or other configuration file that is read."""

SETTINGS_BYTES = 512 * 2**20
"""Largest vocabulary, template, index or source file that is read; the largest tokenizers have 70 MB."""

_CONFIGS = ("config.json", "processor_config.json", "tokenizer_config.json", "generation_config.json")
SETTINGS_SUFFIXES = (".json", ".txt", ".model", ".jinja", ".py")
"""Suffixes of all files of an artefact except weights, which may have any size and depend on the backend."""

_LFS_POINTER = b"version https://git-lfs"

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def check_saved_files(folder: Path, patterns: Iterable[str]) -> None:
    """Check every file that loading may open, before any file is opened. Files that do not exist are skipped.

    A device such as `/dev/zero` never ends, and a named pipe blocks every library that opens it. Symbolic links are
    followed, because the Hub cache consists of them.

    Args:
        folder: the saved model.
        patterns: names of files, which may contain wildcards, or paths of single files in subfolders.

    Raises:
        ArtefactError: a file is not a regular file, exceeds the size limit, is an empty JSON file, or is a pointer that
            `git clone` without Git LFS leaves in place of the file.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     (Path(folder) / "config.json").mkdir()
        ...     check_saved_files(Path(folder), ["*.json"])
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: '.../config.json' is a folder, expected a regular file; save or fetch ...
    """
    for pattern in patterns:
        for path in [folder / pattern] if "/" in pattern else sorted(folder.glob(pattern)):
            check_saved_file(path)
            _check_fetched(path)


def _check_fetched(path: Path) -> None:
    """Check that a file is neither a pointer of Git LFS nor an empty JSON file, which an incomplete copy leaves."""
    if is_lfs_pointer(path):
        raise ArtefactError(f"{str(path)!r} is only a Git LFS pointer; fetch the file: git lfs pull")
    if path.suffix == ".json" and path.is_file() and not path.stat().st_size:
        raise ArtefactError(f"{str(path)!r} is empty; save or fetch the model again")


def check_saved_file(path: Path) -> None:
    """Check one file; see `check_saved_files`."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:  # such as a symbolic link to itself
        raise ArtefactError(f"{str(path)!r} cannot be read: {error.strerror}; save or fetch the model again") from error
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for applies, name in _KINDS if applies(found.st_mode)), "a special file")
        raise ArtefactError(f"{str(path)!r} is {kind}, expected a regular file; save or fetch the model again")
    most = CONFIG_BYTES if path.name in _CONFIGS else SETTINGS_BYTES
    if path.suffix in SETTINGS_SUFFIXES and found.st_size > most:
        raise ArtefactError(
            f"{str(path)!r} has {found.st_size} bytes; the limit of such a file is {most}. Save or fetch the model "
            "again, or remove the file from the folder if it is not part of the model"
        )


def is_lfs_pointer(path: Path) -> bool:
    """Return whether a file is the pointer that `git clone` without Git LFS leaves in place of a large file."""
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS_POINTER)) == _LFS_POINTER
    except OSError:
        return False


def read_saved_file(path: Path, *, most: int = CONFIG_BYTES) -> bytes:
    """Read a complete regular file of bounded size.

    Args:
        path: the file.
        most: size limit in bytes.

    Raises:
        FileNotFoundError: the file does not exist.
        ArtefactError: the file is not a regular file, is larger, or cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "config.json"
        ...     _ = path.write_bytes(b"{}")
        ...     read_saved_file(path)
        b'{}'
    """
    check_saved_file(path)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ArtefactError(f"{str(path)!r} cannot be read: {error.strerror}; save or fetch the model again") from error
    if len(content) > most:
        raise ArtefactError(
            f"{str(path)!r} is larger than the limit of {most} bytes for such a file; save or fetch the model again"
        )
    return content
