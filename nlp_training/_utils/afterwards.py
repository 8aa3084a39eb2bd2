"""What is done for people when a run has its model: where it fails, it is told, and the run has not failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text


@contextmanager
def told_if_it_fails(console: Console, what: str, *, advice: str) -> Iterator[None]:
    """Say in a line what an error has prevented, in place of ending the run.

    Args:
        console: where to say it.
        what: could not be done, such as `the report could not be written`.
        advice: what to do about it.

    Example:
        >>> with told_if_it_fails(Console(), "the page could not be written", advice="make room for it"):
        ...     raise OSError("no space left")
        the page could not be written: OSError: no space left; make room for it
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the model is there
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        console.print(Text(f"{what}: {reason}; {advice}", style="yellow"), soft_wrap=True)
