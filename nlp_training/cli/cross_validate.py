"""`nlp-training cross-validate`: cross-validate on the training documents."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nlp_training.cli._shared import console_for, one_line_errors


def cross_validate_run(
    config: Annotated[Path, typer.Argument(help="A run's YAML file, such as configs/banking77.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Keys to override: training.num_train_epochs=1 data.train=my.jsonl")
    ] = None,
    *,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 5,
    stratify: Annotated[bool, typer.Option(help="Give each fold its share of every label.")] = True,
    group_by: Annotated[
        str | None, typer.Option(help="Keep documents with the same value together: metadata.source, or text.")
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace folds of another configuration, other data or another division."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write every score as JSON instead of tables.")] = False,
) -> None:
    """Predict every training document with a model that was not trained on it. A second start runs missing folds."""
    with one_line_errors():
        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_training import load_config
        from nlp_training.cross_validation.folds import FoldSettings
        from nlp_training.cross_validation.run import cross_validate

        quiet_libraries()
        settings = FoldSettings(folds, stratify=stratify, group_by=group_by)
        console = console_for(as_json=as_json)
        found = cross_validate(load_config(config, overrides or ()), settings, console=console, overwrite=overwrite)
        if as_json:
            typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
