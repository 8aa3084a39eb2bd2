"""Where the command `nlp-training` starts: a module that can be imported without the `train` extra."""

from importlib import import_module

from nlp_inference._utils.extras import exit_on_missing_extra


def main() -> None:
    """Run `nlp-training`, or name the extra that it needs and exit with 1."""
    with exit_on_missing_extra():
        command = import_module("nlp_training.cli")
    command.app()
