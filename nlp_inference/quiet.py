"""For commands that talk to a person: no walls of log from the libraries, and warnings on a line each."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import transformers
from rich.console import Console
from transformers.utils.logging import disable_progress_bar


def quiet_libraries() -> None:
    """Let transformers report errors only, without bars of its own; a library user keeps the libraries' settings."""
    transformers.logging.set_verbosity_error()
    disable_progress_bar()


@contextmanager
def one_line_warnings(messages: Console) -> Iterator[None]:
    """Show the warnings that come up without the lines of code that Python puts around them."""
    with warnings.catch_warnings(record=True) as caught:
        try:
            yield
        finally:
            for warning in caught:
                line = f"{warning.category.__name__}: {' '.join(str(warning.message).split())}"
                messages.print(line, style="yellow", highlight=False, markup=False)
