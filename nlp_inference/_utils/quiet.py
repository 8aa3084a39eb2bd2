"""For commands that talk to a person: no walls of log from the libraries, and warnings on a line each."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


def quiet_imports() -> None:
    """Before transformers is imported: it says at once that there is no torch, also where none is needed."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def quiet_libraries() -> None:
    """Let transformers report errors only, without bars of its own; a library user keeps the libraries' settings."""
    import transformers
    from transformers.utils.logging import disable_progress_bar

    transformers.logging.set_verbosity_error()
    disable_progress_bar()


@contextmanager
def one_line_warnings(messages: Console) -> Iterator[None]:
    """Show the warnings that come up without the lines of code that Python puts around them."""

    def show(  # as `warnings.showwarning` is called, by position
        message: Warning | str, category: type[Warning], _file: str, _line: int, *_: object
    ) -> None:
        text = f"{category.__name__}: {' '.join(str(message).split())}"
        messages.print(text, style="yellow", highlight=False, markup=False)

    with warnings.catch_warnings():
        vars(warnings)["showwarning"] = show
        yield
