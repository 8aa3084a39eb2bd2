"""The command `nlp-inference`, with one module per subcommand."""

import typer

from nlp_inference._utils.quiet import quiet_imports
from nlp_inference.cli.drift import drift
from nlp_inference.cli.predict import predict
from nlp_inference.cli.serve import serve
from nlp_inference.cli.verify import verify

app = typer.Typer(no_args_is_help=True, help="Predict with models that nlp-training trained.", callback=quiet_imports)
app.command()(drift)
app.command()(predict)
app.command()(serve)
app.command()(verify)
