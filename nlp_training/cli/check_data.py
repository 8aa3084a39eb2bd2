"""`nlp-training check-data`: check the data of a run before training."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors

if TYPE_CHECKING:
    from nlp_training.data_report.check import Track


def check_data(
    config: Annotated[Path, typer.Argument(help="A run's YAML file, such as configs/quickstart.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Keys to override: data.train=my.jsonl processor.windows.overlap=64")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write everything as JSON instead of tables.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the JSON to this file.")] = None,
    min_ceiling: Annotated[
        float, typer.Option(min=0, max=1, help="Error if perfect outputs score less on a split.")
    ] = 0.9,
    max_leakage: Annotated[
        float, typer.Option(min=0, max=1, help="Error if more of a split's texts are also in train.")
    ] = 0.01,
    rare: Annotated[int, typer.Option(min=0, help="A label with fewer examples is rare.")] = 10,
) -> None:
    """Check the data of a run: label ceiling, leaks, labels, edges, lengths. Exits with 1 if there is an error."""
    with one_line_errors():
        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_training import load_config
        from nlp_training.data_report.check import check_data as check
        from nlp_training.data_report.data_check_tables import data_check_report
        from nlp_training.data_report.judge import Bounds

        quiet_libraries()
        bounds = Bounds(min_ceiling=min_ceiling, max_leakage=max_leakage, rare=rare)
        with _progress() as track:
            found = check(load_config(config, overrides or ()), bounds=bounds, track=track)
        text = json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n"
        if output is not None:
            output.write_text(text, encoding="utf-8")
        if as_json:
            sys.stdout.write(text)
        else:
            Console().print(*data_check_report(found))
    if not found.ok:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator["Track"]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield lambda documents, description: progress.track(documents, description=description)
