"""For commands that talk to a person: no walls of log from the libraries."""

import transformers
from transformers.utils.logging import disable_progress_bar


def quiet_libraries() -> None:
    """Let transformers report errors only, without bars of its own; a library user keeps the libraries' settings."""
    transformers.logging.set_verbosity_error()
    disable_progress_bar()
