"""What the commands of `nlp-training` share."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from nlp_inference.errors import NlpInferenceError


def console_for(*, as_json: bool) -> Console:
    """Where to show progress and tables: if JSON is wanted, not beside it, and nowhere if nobody looks."""
    errors = Console(stderr=True)
    return Console(stderr=True, quiet=not errors.is_terminal) if as_json else Console()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Say what is wrong with a run, a file or the network without a traceback, and exit with 1."""
    try:
        yield
    except (NlpInferenceError, OSError) as error:
        message = f"{type(error).__name__}: {error}"
        Console(stderr=True).print(message, style="red", highlight=False, markup=False)
        raise typer.Exit(1) from error
