"""Digests and copies of the user modules that a run imports from files, which may not be committed."""

import ast
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from nlp_inference._utils.digests import file_digest
from nlp_training.config.user_modules import is_file

MODULES_FOLDER = "code.modules"
"""The folder of copies, next to `code.diff`. Its name is not a valid module name, so nothing is imported from it."""


def module_digests(modules: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of each file in `modules`, and of files that these import relatively, by file name.

    Args:
        modules: the modules of a configuration. Installed modules are skipped because their packages are recorded.
    """
    return {path.name: file_digest(path) for path in _files(modules)}


def keep_modules(modules: Sequence[str], folder: Path) -> dict[str, str]:
    """Copy these files into the folder of a run, replacing earlier copies, and return their digests."""
    kept = folder / MODULES_FOLDER
    if kept.exists():
        shutil.rmtree(kept)
    for path in _files(modules):
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, kept / path.name)
    return module_digests(modules)


def _files(modules: Sequence[str]) -> list[Path]:
    """Find the files like `user_modules`, which searches relative imports in the folders of all named files."""
    found = {Path(module).name: Path(module) for module in modules if is_file(module)}
    folders = list(dict.fromkeys(path.parent for path in found.values()))
    waiting = list(found.values())
    while waiting:
        for name in _relative_imports(waiting.pop()):
            path = next((folder / name for folder in folders if (folder / name).is_file()), None)
            if path is not None and name not in found:
                found[name] = path
                waiting.append(path)
    return [found[name] for name in sorted(found)]


def _relative_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                yield f"{name}.py"
