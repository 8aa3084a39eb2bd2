"""Entry point of the command `nlp-training`, which can be imported without the `train` extra."""

from importlib import import_module

from nlp_inference._utils.extras import exit_on_missing_extra


def main() -> None:
    """Run `nlp-training`, or name the missing extra and exit with status 1."""
    with exit_on_missing_extra():
        command = import_module("nlp_training.cli")
    command.app()
