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

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        del filename, lineno
        text = f"{category.__name__}: {' '.join(str(message).split())}"
        messages.print(text, style="yellow", highlight=False, markup=False)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
