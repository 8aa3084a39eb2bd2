"""`nlp-training train`: train a model from a configuration."""

from pathlib import Path
from typing import Annotated

import typer

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors


def train_run(
    config: Annotated[Path, typer.Argument(help="A run's YAML file, such as configs/quickstart.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Keys to override: training.num_train_epochs=1 data.train=my.jsonl")
    ] = None,
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last complete checkpoint, or start if there is none.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model and the checkpoints of an earlier run of this name.")
    ] = False,
) -> None:
    """Train, evaluate and save a model as its configuration specifies."""
    with one_line_errors():
        from accelerate import PartialState

        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training import load_config, train

        quiet_libraries()
        console = Console()
        with one_line_warnings(console):
            run = load_config(config, overrides or ())
            result = train(run, console=console, resume=resume, overwrite=overwrite)
        PartialState().destroy_process_group()  # its threads could outlive the interpreter and abort it
    if result.verification is not None and not result.verification.ok:
        raise typer.Exit(1)
