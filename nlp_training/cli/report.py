"""`nlp-training report`: write the report page of a run again from its files."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors


def report_run(
    run: Annotated[Path, typer.Argument(help="The folder of a run, such as runs/quickstart.")],
    *,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write report.html into the folder of a run again from its files, without loading a model."""
    with one_line_errors():
        from nlp_training.reports.html import report_link, write_report

        page = write_report(run)
        Console().print(report_link(page), soft_wrap=True)
        if open_page:
            webbrowser.open(page.resolve().as_uri())
