"""Shortening of long values in messages."""


def shorten(shown: str, *, width: int) -> str:
    """Shorten a string to `width` characters.

    Example:
        >>> shorten("Ana lives in Rome", width=12), shorten("Ana", width=12)
        ('Ana lives...', 'Ana')
    """
    return shown if len(shown) <= width else f"{shown[: width - 3]}..."
