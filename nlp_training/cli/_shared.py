"""Helpers shared by the commands of `nlp-training`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from nlp_inference._utils.terminal import Console
from nlp_inference.errors import InvalidSpecError, NlpInferenceError


def console_for(*, as_json: bool) -> Console:
    """Return the console for progress and tables: stderr with JSON output, and silent if stderr is not a terminal."""
    errors = Console(stderr=True)
    return Console(stderr=True, quiet=not errors.is_terminal) if as_json else Console()


def source_fields(given: str) -> dict[str, Any]:
    """Parse a data source argument: a path, a Hub id, or a YAML mapping like `data.train` in a configuration.

    Raises:
        InvalidDataError: the argument starts like a mapping but is not one.

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
        raise InvalidDataError(f"{given!r} is not a YAML mapping: {error}; write '{{path: org/set}}'") from error
    if not isinstance(fields, dict):
        raise InvalidDataError(f"cannot read {given!r}; write a path, or a mapping like data.train in a configuration")
    return fields


def set_fields(given: Sequence[str] | None, *, form: str) -> dict[str, Any]:
    """Parse the values of `--set`: a name, `=`, and a value in YAML.

    Args:
        given: the values of the option.
        form: the form of a value with an example, for the message.

    Raises:
        InvalidSpecError: a value has no name or no `=`, or its part after `=` is not YAML.

    Example:
        >>> set_fields(["threshold=0.4", "labels=[a, b]"], form="FIELD=VALUE")
        {'threshold': 0.4, 'labels': ['a', 'b']}
    """
    from yaml import YAMLError

    from nlp_training.config.yaml_files import parse_yaml

    pairs = [one.partition("=") for one in given or ()]
    if bad := [name for name, equals, _ in pairs if not (name and equals)]:
        raise InvalidSpecError(f"--set has {bad[0]!r}; write {form}")
    try:
        return {name: parse_yaml(value) for name, _, value in pairs}
    except YAMLError as error:
        raise InvalidSpecError(f"--set has a value that is not YAML: {error}") from error


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error of the library or of the operating system without a traceback, and exit with 1."""
    try:
        yield
    except (NlpInferenceError, OSError) as error:
        message = f"{type(error).__name__}: {error}"
        Console(stderr=True).print(message, style="red", highlight=False, markup=False)
        raise typer.Exit(1) from error
