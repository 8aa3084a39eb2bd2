"""The command `nlp-inference`: one module a sub-command."""

import typer

from nlp_inference.cli.predict import predict

app = typer.Typer(no_args_is_help=True, help="Predict with models that nlp-training made.")
app.command()(predict)


@app.callback()
def _commands() -> None:
    """Keep `predict` a sub-command while it is the only one."""
