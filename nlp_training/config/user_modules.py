"""User modules, by name or as files. Importing them registers the classes that they define.

A file is imported as `user_modules.NAME` on every machine. It can import other files in its folder relatively.
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
"""The package of modules that are imported from files."""

_SUFFIX = ".py"


def is_file(module: str) -> bool:
    """Return whether a module is given as a file rather than as an importable name.

    Example:
        >>> is_file("my_ideas.py"), is_file("my_package.transforms")
        (True, False)
    """
    return module.endswith(_SUFFIX)


def locate_files(modules: Iterable[str], *, beside: Path) -> list[str]:
    """Locate the files that a configuration names, first next to it and then in the working directory.

    Args:
        modules: names and files; names are returned unchanged.
        beside: the folder of the configuration.

    Returns:
        Names and files. Files inside the working directory are relative to it; missing files are unchanged.
    """
    return [_locate(module, beside) if is_file(module) else module for module in modules]


def _locate(module: str, beside: Path) -> str:
    found = next((path for path in (beside / module, Path(module)) if path.is_file()), None)
    if found is None:
        return module
    absolute = found.resolve()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def import_modules(modules: Sequence[str]) -> None:
    """Import the modules that define custom transforms, tasks, losses, augmentations, metrics and models.

    A file is imported again only after it changed. Processors save the source of the transforms and tasks that a file
    defines, because the file cannot be installed; see `Registered.register_for_auto_class`.

    Args:
        modules: names, and files relative to the working directory.

    Raises:
        InvalidSpecError: a module cannot be imported; the message names the line.
    """
    _open_package([Path(module) for module in modules if is_file(module)])
    for module in modules:
        try:
            if is_file(module):
                _import_file(Path(module))
            else:
                import_module(module)
        except Exception as error:
            advice = "fix the file" if is_file(module) else "install the package that contains it"
            raise InvalidSpecError(
                f"modules names {module!r}, which cannot be imported: {_location(error, module)}"
                f"{type(error).__name__}: {error}; {advice}, or remove it from modules"
            ) from error


class _Uncached(SourceFileLoader):
    """A loader without bytecode cache: the cache compares whole seconds, and a user's file may change faster."""

    def path_stats(self, path: str) -> dict[str, float]:
        """See `SourceLoader.path_stats`. Without it, `__pycache__` is neither read nor written."""
        raise OSError(f"{path} is not cached")


def _open_package(files: Sequence[Path]) -> None:
    """Make the files modules of one package, so that they can import each other and other files in their folders."""
    names = [path.stem for path in files]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        raise InvalidSpecError(f"modules names two files {twice + _SUFFIX!r}, which have the same name; rename one")
    for path in files:
        if not path.is_file():
            raise InvalidSpecError(
                f"modules names {str(path)!r}, but this file is neither next to the configuration nor in the working "
                "directory"
            )
        if not path.stem.isidentifier():
            raise InvalidSpecError(
                f"modules names {str(path)!r}, which is not a valid module name; use only letters, digits and '_'"
            )
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
        raise ImportError(f"{str(path)!r} is not a Python file")
    module = module_from_spec(spec)
    vars(module)["__source__"] = source.read_bytes()
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget([name])
        raise
    _save_sources_with_processors()
    return module


def _save_sources_with_processors() -> None:
    for kind in (Transform, PostTransform, Task):
        for member in kind.members.values():
            if is_from_file(member):
                member.register_for_auto_class()


def is_from_file(defined: type) -> bool:
    """Return whether a class is defined in a file that a run names."""
    return defined.__module__.partition(".")[0] == PACKAGE


def _forget(names: Iterable[str]) -> None:
    for name in list(names):
        sys.modules.pop(name, None)


def _location(error: Exception, module: str) -> str:
    """Return the file and line of an error if it is in user code."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}: "
    name = Path(module).name if is_file(module) else f"{module.rpartition('.')[2]}{_SUFFIX}"
    lines = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).name == name]
    return f"{lines[-1].filename}:{lines[-1].lineno}: " if lines else ""
