"""The version of the installed distribution, which contains both packages."""

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "nlp-inference"


def distribution_version() -> str:
    """Return the version of the installed distribution, or `unknown` if it is not installed.

    Example:
        >>> isinstance(distribution_version(), str)
        True
    """
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
