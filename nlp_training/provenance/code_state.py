"""The code of a run: its commit and uncommitted changes. Problems are not errors because they must not stop a run."""

import os
import subprocess
from pathlib import Path

from nlp_inference._utils.version import distribution_version
from nlp_training.provenance.manifest import Checkout, CodeState

MAX_DIFF_CHARACTERS = 1_000_000
MAX_UNTRACKED = 1000
_SECONDS = 20


def find_code() -> tuple[CodeState, Checkout | None, str]:
    """Return the state of this library, the checkout of the working directory if it is another one, and the changes.

    Returns:
        Both, and the text for `code.diff`, which is empty without changes or without a checkout.
    """
    library = _root(Path(__file__), tracked=True)
    project = _root(Path.cwd() / ".")
    here = None if library is None else _checkout(library)
    other = _checkout(project) if project is not None and project != library else None
    parts = [_changes(root, checkout) for root, checkout in ((library, here), (project, other)) if root and checkout]
    return CodeState(version=distribution_version(), checkout=here), other, "".join(parts)


def _git(folder: Path, *words: str) -> str | None:
    """Return the output of a git command, or `None` if it fails."""
    command = ["git", "-C", str(folder), "-c", "core.quotepath=off", *words]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(  # noqa: S603 - git, with words of this module
            command, env=environment, capture_output=True, timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def _root(path: Path, *, tracked: bool = False) -> Path | None:
    """Return the checkout of a path; with `tracked`, only if it tracks the file, unlike for an installed package."""
    folder = path.parent if path.is_file() else path
    if tracked and _git(folder, "ls-files", "--error-unmatch", path.name) is None:
        return None
    root = _git(folder, "rev-parse", "--show-toplevel")
    return Path(root.strip()) if root else None


def _checkout(root: Path) -> Checkout | None:
    commit = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain")
    if commit is None or status is None:
        return None
    return Checkout(commit=commit.strip(), dirty=bool(status.strip()))


def _changes(root: Path, checkout: Checkout) -> str:
    if not checkout.dirty:
        return ""
    diff = _git(root, "diff", "HEAD", "--no-ext-diff", "--no-color", "--no-textconv") or ""
    untracked = (_git(root, "ls-files", "--others", "--exclude-standard") or "").splitlines()
    lines = [f"# {root.name}: changes since commit {checkout.commit}"]
    lines += [f"# untracked: {name}" for name in untracked[:MAX_UNTRACKED]]
    if len(untracked) > MAX_UNTRACKED:
        lines.append(f"# untracked: and {len(untracked) - MAX_UNTRACKED} more")
    if len(diff) > MAX_DIFF_CHARACTERS:
        lines.append(f"# truncated: {MAX_DIFF_CHARACTERS} of {len(diff)} characters are kept")
    return "\n".join(lines) + "\n" + diff[:MAX_DIFF_CHARACTERS]
