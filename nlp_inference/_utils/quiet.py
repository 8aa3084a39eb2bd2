"""Output of commands: no log messages of other libraries, and one line per warning."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from nlp_inference._utils.quick_imports import import_transformers


def quiet_imports() -> None:
    """Silence transformers before it is imported, because it warns on import if torch is not installed."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def quiet_libraries() -> None:
    """Let transformers report only errors, without progress bars; called by commands only, not by the library."""
    transformers = import_transformers()
    from transformers.utils.logging import disable_progress_bar

    transformers.logging.set_verbosity_error()
    disable_progress_bar()


@contextmanager
def one_line_warnings(messages: Console) -> Iterator[None]:
    """Show warnings on one line each, without the source line that Python adds."""

    def show(  # the positional signature of `warnings.showwarning`
        message: Warning | str, category: type[Warning], _file: str, _line: int, *_: object
    ) -> None:
        text = f"{category.__name__}: {' '.join(str(message).split())}"
        messages.print(text, style="yellow", highlight=False, markup=False)

    with warnings.catch_warnings():
        vars(warnings)["showwarning"] = show
        yield
