"""What a message shows of a long value."""


def shorten(shown: str, *, width: int) -> str:
    """What fits into `width` characters.

    Example:
        >>> shorten("Ana lives in Rome", width=12), shorten("Ana", width=12)
        ('Ana lives...', 'Ana')
    """
    return shown if len(shown) <= width else f"{shown[: width - 3]}..."
