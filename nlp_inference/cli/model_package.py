"""The command of an installed model package: `nlp-inference` with the model of the package."""

import inspect
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_inference._utils.quiet import quiet_imports
from nlp_inference._utils.terminal import Console
from nlp_inference.cli._shared import NOT_CHECKED, stop
from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.integrations.model_package import ModelPackage

_MODEL: dict[str, Callable[[str], object]] = {"model": str, "models": lambda folder: [folder]}
"""Parameters of commands that receive the folder of the model, and their value."""

_NOT_OFFERED = ("revision",)
"""Parameters of commands that apply to models on the Hub."""


def package_app(package: "ModelPackage", commands: typer.Typer) -> typer.Typer:
    """Return the command of a model package.

    Args:
        package: the package.
        commands: the app whose commands it offers: those with a parameter `model` or `models`, without this parameter.
    """
    app = typer.Typer(
        no_args_is_help=True,
        help=f"Predict with the model {package.distribution} {package.version}.",
        callback=quiet_imports,
    )
    for command in commands.registered_commands:
        function = command.callback
        if function is not None and not _MODEL.keys().isdisjoint(inspect.signature(function).parameters):
            app.command(command.name, help=_help(function))(_bound(function, package))
    app.command("info")(_info(package))
    return app


def run_package(package: "ModelPackage") -> None:
    """Run the command of a model package; the console script of the package calls this function."""
    from nlp_inference.cli import app

    package_app(package, app)(prog_name=package.distribution)


def _bound(function: Callable[..., Any], package: "ModelPackage") -> Callable[..., Any]:
    """Return a command without the parameter of its model, which is the model of the package."""
    signature = inspect.signature(function)

    @wraps(function)
    def bound(**options: Any) -> Any:
        folder = str(_checked(package))
        fixed = {name: value(folder) for name, value in _MODEL.items() if name in signature.parameters}
        return function(**fixed, **options)

    kept = [one for one in signature.parameters.values() if one.name not in {*_MODEL, *_NOT_OFFERED}]
    vars(bound)["__signature__"] = signature.replace(parameters=kept)
    bound.__annotations__ = {one.name: one.annotation for one in kept}
    return bound


def _help(function: Callable[..., Any]) -> str:
    return re.sub(r"\bMODEL\b", "the model", inspect.getdoc(function) or "")


def _checked(package: "ModelPackage") -> Any:
    try:
        return package.checked_folder()
    except NlpInferenceError as error:
        raise stop(error, Console(stderr=True, soft_wrap=True), status=NOT_CHECKED) from error


def _info(package: "ModelPackage") -> Callable[..., None]:
    def info(
        *, as_json: Annotated[bool, typer.Option("--json", help="Write JSON, with the complete fingerprint.")] = False
    ) -> None:
        """Show the version, the task, the exported models and the folder of the model."""
        _checked(package)
        found = package.info()
        if as_json:
            typer.echo(json.dumps(found, indent=2))
            return
        task, exports = found["task"], found["exports"]
        typer.echo(f"{found['distribution']} {found['version']}")
        typer.echo(f"task: {task if isinstance(task, str) else ', '.join(task)}")
        typer.echo(f"weights: {', '.join(found['weights']) or 'none'}")
        typer.echo(f"exports: {', '.join(f'{name} {dtype}' for name in exports for dtype in exports[name]) or 'none'}")
        typer.echo(f"folder: {found['folder']}")

    return info
