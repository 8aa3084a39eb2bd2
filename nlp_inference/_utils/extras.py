"""Optional dependencies: an error message with the pip command instead of a bare ImportError."""

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from types import ModuleType

from nlp_inference.errors import MissingExtraError

_DISTRIBUTION = "nlp-inference"
_UNKNOWN_SOURCE = " @ git+URL-OF-THE-REPOSITORY"


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or raise an error that names the extra of this distribution that installs it.

    Args:
        module: dotted name of the module, such as `"torch"`.
        extra: name of the extra in `pyproject.toml` that installs it.

    Raises:
        MissingExtraError: the module is not installed.

    Example:
        >>> require("json", extra="torch").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        raise _missing(module, extra) from error


def require_installed(modules: Sequence[str], *, extra: str) -> None:
    """Check that top-level modules are installed, without importing them.

    Args:
        modules: the names of the modules.
        extra: name of the extra in `pyproject.toml` that installs all of them.

    Raises:
        MissingExtraError: a module is not installed.

    Example:
        >>> require_installed(["json", "typing"], extra="train")
    """
    for module in modules:
        if not is_installed(module):
            raise _missing(module, extra)


def install_command(*extras: str) -> str:
    """Return the command that installs this distribution with extras, from the source of the current installation.

    Args:
        extras: the names of the extras in `pyproject.toml`.

    Source: https://packaging.python.org/en/latest/specifications/direct-url/

    Example:
        >>> install_command("torch").startswith('pip install "nlp-inference[torch]')
        True
    """
    return f'pip install "{_DISTRIBUTION}[{",".join(extras)}]{_installed_from()}"'


@contextmanager
def exit_on_missing_extra() -> Iterator[None]:
    """End a program with one line on standard error and status 1 if an optional dependency is missing."""
    try:
        yield
    except MissingExtraError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _missing(module: str, extra: str) -> MissingExtraError:
    return MissingExtraError(f"{module!r} is required but not installed. Install it with: {install_command(extra)}")


def is_installed(module: str) -> bool:
    """Return whether a top-level module is installed, without importing it.

    Example:
        >>> is_installed("json"), is_installed("no_such_module")
        (True, False)
    """
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _installed_from() -> str:
    """Return ` @ ` and the URL of the repository, folder or archive; an empty string for a package index."""
    try:
        recorded = distribution(_DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return _UNKNOWN_SOURCE
    if recorded is None:
        return ""
    source = json.loads(recorded)
    vcs = source.get("vcs_info", {})
    revision = f"@{vcs['requested_revision']}" if "requested_revision" in vcs else ""
    return f" @ {vcs['vcs']}+{source['url']}{revision}" if vcs else f" @ {source['url']}"
