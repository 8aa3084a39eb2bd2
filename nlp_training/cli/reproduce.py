"""`nlp-training reproduce`: repeat a run and compare the results."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from nlp_inference._utils.terminal import Console
from nlp_inference.errors import NlpInferenceError

_DIFFERENT, _NOT_COMPARABLE = 1, 2


def reproduce_run(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, such as runs/quickstart.")],
    *,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", help="Keep the repetition here, in a folder with the run's name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the comparison as JSON instead of a table.")] = False,
) -> None:
    """Train a run again from its config.yaml and compare. Exits with 0: identical, 1: different, 2: not comparable."""
    errors = Console(stderr=True)
    try:
        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_training.provenance.environment import is_main_process
        from nlp_training.runs.reproduce import reproduce
        from nlp_training.runs.reproduction_tables import reproduction_tables

        quiet_libraries()
        with ExitStack() as stack:
            scratch = output_dir or stack.enter_context(TemporaryDirectory(prefix="nlp-training-"))
            found = reproduce(run, output_dir=scratch, console=errors, stays=output_dir is not None)
    except (NlpInferenceError, OSError) as error:
        errors.print(f"{type(error).__name__}: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(_NOT_COMPARABLE) from error
    if is_main_process():
        if as_json:
            sys.stdout.write(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
        else:
            Console().print(*reproduction_tables(found), sep="\n")
            if not found.identical and output_dir is None:
                errors.print("the repetition was not kept; to keep it, pass --output-dir DIR", highlight=False)
    if not found.identical:
        raise typer.Exit(_DIFFERENT)
