"""What the commands of `nlp-training` share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from nlp_inference.errors import NlpInferenceError


def console_for(*, as_json: bool) -> Console:
    """Where to show progress and tables: if JSON is wanted, not beside it, and nowhere if nobody looks."""
    errors = Console(stderr=True)
    return Console(stderr=True, quiet=not errors.is_terminal) if as_json else Console()


def source_fields(given: str) -> dict[str, Any]:
    """What is typed for a data source: a path or a Hub id, or a mapping in YAML as `data.train` in a configuration.

    Raises:
        InvalidDataError: it begins as a mapping, and is none.

    Example:
        >>> source_fields("test.jsonl"), source_fields("{path: org/set, split: test}")
        ({'path': 'test.jsonl'}, {'path': 'org/set', 'split': 'test'})
    """
    from yaml import YAMLError

    from nlp_training.config.yaml_files import parse_yaml
    from nlp_training.data import InvalidDataError

    if not given.lstrip().startswith("{"):
        return {"path": given}
    try:
        fields = parse_yaml(given)
    except YAMLError as error:
        raise InvalidDataError(f"{given!r} is no mapping in YAML: {error}; write '{{path: org/set}}'") from error
    if not isinstance(fields, dict):
        raise InvalidDataError(f"cannot read {given!r}; write a path, or a mapping as data.train in a configuration")
    return fields


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Say what is wrong with a run, a file or the network without a traceback, and exit with 1."""
    try:
        yield
    except (NlpInferenceError, OSError) as error:
        message = f"{type(error).__name__}: {error}"
        Console(stderr=True).print(message, style="red", highlight=False, markup=False)
        raise typer.Exit(1) from error
