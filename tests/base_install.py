"""Tests where only the base package is installed, without torch and the other extras: `pytest --base-install MODEL`."""

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path


def missing_at_top(path: Path) -> list[str]:
    """The modules that a module imports as it is loaded, and that cannot be imported here."""
    return sorted(name for name in imported_at_top(path) if not _is_there(name))


def imported_at_top(path: Path) -> set[str]:
    """The modules that a module imports as it is loaded."""
    return set(_imported(ast.parse(path.read_text(encoding="utf-8")).body))


def _imported(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module


@lru_cache
def _is_there(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True
