"""Names and versions of model packages."""

import keyword
import re
import sys
from importlib.metadata import packages_distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from nlp_inference.errors import InvalidSpecError
from nlp_training.artefact.requirements import LIBRARY

_NAME = re.compile(r"[A-Z0-9]([A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)


def distribution_name(name: str) -> str:
    """Return the normalized name of a distribution whose module can be imported.

    Args:
        name: such as `acme-ner`; `Acme_NER` is the same name.

    Raises:
        InvalidSpecError: it is not a name of a distribution, its module cannot be imported, or the name or the module
            belongs to Python, to this library or to a package that it needs.

    Sources: https://peps.python.org/pep-0503/ and https://peps.python.org/pep-0508/

    Example:
        >>> distribution_name("Acme_NER")
        'acme-ner'
        >>> distribution_name("acme ner!")
        Traceback (most recent call last):
        nlp_inference.errors.InvalidSpecError: 'acme ner!' is not a package name: ...; for example 'acme-ner'
    """
    if not _NAME.fullmatch(name):
        proposed = canonicalize_name(re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")) or "acme-ner"
        raise InvalidSpecError(
            f"{name!r} is not a package name: use ASCII letters and digits, and between them '-', '_' or '.' (PEP 508);"
            f" for example {proposed!r}"
        )
    normalized = canonicalize_name(name)
    module = module_name(normalized)
    if not module.isidentifier() or keyword.iskeyword(module):
        raise InvalidSpecError(
            f"the package {name!r} would have the module {module!r}, which Python cannot import; begin the name with a "
            f"letter and use no keyword of Python, for example 'model-{normalized}'"
        )
    if module in sys.stdlib_module_names or normalized in _taken() or _taken() & _owners(module):
        raise InvalidSpecError(
            f"the package {name!r} with its module {module!r} would replace a package that the model needs; use "
            f"another name, for example 'acme-{normalized}'"
        )
    return normalized


def module_name(distribution: str) -> str:
    """Return the module of a distribution.

    Example:
        >>> module_name("acme-ner")
        'acme_ner'
    """
    return distribution.replace("-", "_")


def package_version(version: str) -> str:
    """Return a version in its normal form.

    Raises:
        InvalidSpecError: it is not a version.

    Source: https://peps.python.org/pep-0440/

    Example:
        >>> package_version("1.2-rc1")
        '1.2rc1'
    """
    try:
        return str(Version(version))
    except InvalidVersion as error:
        raise InvalidSpecError(
            f"{version!r} is not a version (PEP 440); write one such as '1.2.0' or '1.2.0rc1'"
        ) from error


def _taken() -> set[str]:
    """Return the names of this library and of the packages that it or one of its extras requires."""
    return {LIBRARY, *(canonicalize_name(Requirement(line).name) for line in requires(LIBRARY) or ())}


def _owners(module: str) -> set[str]:
    """Return the installed distributions that contain a module."""
    return {canonicalize_name(name) for name in packages_distributions().get(module, ())}
