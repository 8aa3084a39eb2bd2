"""The command `nlp-training`: one module a sub-command."""

import typer

from nlp_training.cli.evaluate import evaluate
from nlp_training.cli.train import train_run

app = typer.Typer(no_args_is_help=True, help="Train and evaluate models whose artefacts nlp-inference serves.")
app.command("train")(train_run)
app.command()(evaluate)
