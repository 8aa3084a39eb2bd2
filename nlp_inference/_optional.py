"""Optional dependencies: one clear message with the pip command, instead of a bare ImportError."""

import importlib
from types import ModuleType

from nlp_inference.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module` or say which extra of this distribution brings it.

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
        raise MissingExtraError(
            f'{module!r} is not installed and is needed here. Install it with: pip install "nlp-inference[{extra}]"'
        ) from error
