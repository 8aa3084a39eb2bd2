"""Modules of the user, by their names or as files: importing them enters what they define into the registries.

A file is imported as `user_modules.NAME`, on every machine, and may import files beside it relatively.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from nlp_inference import PostTransform, Task, Transform
from nlp_inference.errors import InvalidSpecError

PACKAGE = "user_modules"
"""The package that files are modules of."""

_SUFFIX = ".py"


def is_file(module: str) -> bool:
    """Whether a run names a file, and not a module that Python finds.

    Example:
        >>> is_file("my_ideas.py"), is_file("my_package.transforms")
        (True, False)
    """
    return module.endswith(_SUFFIX)


def locate_files(modules: Iterable[str], *, beside: Path) -> list[str]:
    """Where the files are that a configuration names: beside it, or else in the working directory.

    Args:
        modules: names and files; names stay as they are.
        beside: the folder of the configuration.

    Returns:
        Files that are there relative to the working directory, if they are in it.
    """
    return [_locate(module, beside) if is_file(module) else module for module in modules]


def _locate(module: str, beside: Path) -> str:
    found = next((path for path in (beside / module, Path(module)) if path.is_file()), None)
    if found is None:
        return module
    whole = found.resolve()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)


def import_modules(modules: Sequence[str]) -> None:
    """Import the modules that define things of the user: transforms, tasks, losses, augmentations, metrics, models.

    A file is imported once, and again only after it changed. The source of the transforms and tasks that it defines
    travels with the processors that use them, see `Registered.register_for_auto_class`, since nobody can install it.

    Args:
        modules: names, and files relative to the working directory.

    Raises:
        InvalidSpecError: one cannot be imported; the message says in which line.
    """
    _open_package([Path(module) for module in modules if is_file(module)])
    for module in modules:
        try:
            if is_file(module):
                _import_file(Path(module))
            else:
                import_module(module)
        except Exception as error:
            advice = "mend the file" if is_file(module) else "install the package that it belongs to"
            raise InvalidSpecError(
                f"modules names {module!r}, which cannot be imported: {_place(error, module)}{type(error).__name__}: "
                f"{error}; {advice}, or take it out"
            ) from error


class _Uncached(SourceFileLoader):
    """Compiles anew: a file that is tried out changes within the second that compiled files are told apart by."""

    def path_stats(self, path: str) -> dict[str, float]:
        """See `SourceLoader.path_stats`; without it nothing is read from or written to `__pycache__`."""
        raise OSError(f"{path} is not cached")


def _open_package(files: Sequence[Path]) -> None:
    """Let the files be modules of one package, so that they can import each other and what lies beside them."""
    names = [path.stem for path in files]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        raise InvalidSpecError(f"modules names two files {twice + _SUFFIX!r}, which cannot be told apart; rename one")
    for path in files:
        if not path.is_file():
            raise InvalidSpecError(
                f"modules names {str(path)!r}, but there is no such file, neither beside the configuration nor in the "
                "working directory"
            )
        if not path.stem.isidentifier():
            raise InvalidSpecError(f"modules names {str(path)!r}; name the file by letters, digits and '_' only")
    if files:
        package = sys.modules.setdefault(PACKAGE, module_from_spec(ModuleSpec(PACKAGE, None, is_package=True)))
        folders = [str(path.resolve().parent) for path in files]
        if package.__path__ != (unique := list(dict.fromkeys(folders))):
            package.__path__ = unique
            _forget(name for name in list(sys.modules) if name.startswith(f"{PACKAGE}."))
        invalidate_caches()


def _import_file(path: Path) -> ModuleType:
    name, source = f"{PACKAGE}.{path.stem}", path.resolve()
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__source__", None) == source.read_bytes():
        return known
    spec = spec_from_file_location(name, source, loader=_Uncached(name, os.fspath(source)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{str(path)!r} is no Python file")
    module = module_from_spec(spec)
    vars(module)["__source__"] = source.read_bytes()
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget([name])
        raise
    _let_sources_travel()
    return module


def _let_sources_travel() -> None:
    for kind in (Transform, PostTransform, Task):
        for member in kind.members.values():
            if is_from_file(member):
                member.register_for_auto_class()


def is_from_file(defined: type) -> bool:
    """Whether a class is defined in a file that a run names."""
    return defined.__module__.partition(".")[0] == PACKAGE


def _forget(names: Iterable[str]) -> None:
    for name in list(names):
        sys.modules.pop(name, None)


def _place(error: Exception, module: str) -> str:
    """File and line of what went wrong, as far as it is in code of the user."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}: "
    name = Path(module).name if is_file(module) else f"{module.rpartition('.')[2]}{_SUFFIX}"
    lines = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).name == name]
    return f"{lines[-1].filename}:{lines[-1].lineno}: " if lines else ""
