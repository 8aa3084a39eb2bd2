"""The version of the installed distribution, which holds both packages."""

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "nlp-inference"


def distribution_version() -> str:
    """Return the version in the metadata of the distribution; `unknown` if it runs from a tree that is not installed.

    Example:
        >>> isinstance(distribution_version(), str)
        True
    """
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
