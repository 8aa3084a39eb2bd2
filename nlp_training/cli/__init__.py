"""The command `nlp-training`: one module per subcommand."""

import typer

from nlp_training.cli.adopt import adopt_model
from nlp_training.cli.annotate import annotate_texts
from nlp_training.cli.check_data import check_data
from nlp_training.cli.compress import compress_model
from nlp_training.cli.convert import convert
from nlp_training.cli.cross_validate import cross_validate_run
from nlp_training.cli.evaluate import evaluate
from nlp_training.cli.export import export_run
from nlp_training.cli.package import package_run
from nlp_training.cli.preview_augmentation import preview_augmentation
from nlp_training.cli.publish import publish_run
from nlp_training.cli.report import report_run
from nlp_training.cli.reproduce import reproduce_run
from nlp_training.cli.runs import runs
from nlp_training.cli.search import search_run
from nlp_training.cli.train import train_run

app = typer.Typer(no_args_is_help=True, help="Train and evaluate models whose artefacts nlp-inference serves.")
app.command("train")(train_run)
app.command("adopt")(adopt_model)
app.command("annotate")(annotate_texts)
app.command()(evaluate)
app.command("check-data")(check_data)
app.command("compress")(compress_model)
app.command("convert")(convert)
app.command("export")(export_run)
app.command("package")(package_run)
app.command("preview-augmentation")(preview_augmentation)
app.command("publish")(publish_run)
app.command("report")(report_run)
app.command("reproduce")(reproduce_run)
app.command("search")(search_run)
app.command("cross-validate")(cross_validate_run)
app.add_typer(runs, name="runs")
