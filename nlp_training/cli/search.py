"""`nlp-training search`: search the best values of configuration keys."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nlp_training.cli._shared import console_for, one_line_errors


def search_run(
    config: Annotated[Path, typer.Argument(help="A run's YAML file with the section search; see docs/search.md.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Keys to override: search.trials=50 search.train_best=true")
    ] = None,
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let search.train_best replace the model of another run of this name.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write every trial as JSON instead of tables.")] = False,
) -> None:
    """Search the best values of configuration keys and write the best configuration. A second start continues."""
    with one_line_errors():
        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_training import load_config
        from nlp_training.search.run import search

        quiet_libraries()
        console = console_for(as_json=as_json)
        found = search(load_config(config, overrides or ()), console=console, overwrite=overwrite)
        if as_json:
            typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
