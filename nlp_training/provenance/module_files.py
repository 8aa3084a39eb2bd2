"""The files of the user that a run imports: their digests, and copies of them, since no commit need have them."""

import ast
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from nlp_inference._utils.digests import file_digest
from nlp_training.config.user_modules import is_file

MODULES_FOLDER = "code.modules"
"""In the folder of a run, beside `code.diff`. No module can have this name, so that nothing is imported from here."""


def module_digests(modules: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of each file that `modules` names, and of those that they import relatively, by file name.

    Args:
        modules: as a configuration has them; names of installed modules are left out, as their packages are recorded.
    """
    return {path.name: file_digest(path) for path in _files(modules)}


def keep_modules(modules: Sequence[str], folder: Path) -> dict[str, str]:
    """Copy these files into the folder of a run, in place of those of an earlier one, and give their digests."""
    kept = folder / MODULES_FOLDER
    if kept.exists():
        shutil.rmtree(kept)
    for path in _files(modules):
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, kept / path.name)
    return module_digests(modules)


def _files(modules: Sequence[str]) -> list[Path]:
    """As `user_modules` finds them: a relative import is looked for in the folders of all files that are named."""
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
