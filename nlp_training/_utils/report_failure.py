"""Optional steps after a model is saved, whose errors do not fail the run."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text


@contextmanager
def report_failure(console: Console, what: str, *, advice: str) -> Iterator[None]:
    """Print an error of the block in one line instead of raising it.

    Args:
        console: the console to print to.
        what: what failed, such as `the report could not be written`.
        advice: what to do about it.

    Example:
        >>> with report_failure(Console(), "the page could not be written", advice="make room for it"):
        ...     raise OSError("no space left")
        the page could not be written: OSError: no space left; make room for it
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the model is already saved
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        console.print(Text(f"{what}: {reason}; {advice}", style="yellow"), soft_wrap=True)
