"""`nlp-training package`: build a wheel of a trained model that pip installs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors

if TYPE_CHECKING:
    from nlp_training.release.wheel import Wheel


def package_run(  # noqa: PLR0913 - each is an option of the command
    run: Annotated[str, typer.Argument(help="The folder of a run, or its model folder.")],
    *,
    name: Annotated[str, typer.Option(help="The name of the package, such as acme-ner; its module is acme_ner.")],
    version: Annotated[str, typer.Option(help="The version of the package.")] = "0.1.0",
    output: Annotated[Path, typer.Option(help="The folder of the wheel.")] = Path("dist"),
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="torch|onnx|openvino", help="Contain only the models of this backend. Default: all models."
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="float32|bfloat16|float16|int8",
            help="With --backend: a precision of its exported models; repeatable. Default: all.",
        ),
    ] = None,
    library: Annotated[
        str | None,
        typer.Option(
            metavar="REQUIREMENT",
            help="How pip finds nlp-inference, such as nlp-inference==1.2.0. Default: the installed commit or version.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing wheel.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that was saved with the model, to verify it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report what was built as JSON.")] = False,
) -> None:
    """Build a wheel of a model with its processor and golden records, if the model verifies.

    An application then depends on NAME==VERSION, calls `load()` of its module, and runs `NAME verify`.
    """
    messages = Console(stderr=True, soft_wrap=True)
    with one_line_errors():
        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training.release.wheel import build_wheel

        if dtype and backend is None:
            raise typer.BadParameter("--dtype selects exported models of one backend; name it with --backend")
        quiet_libraries()
        with one_line_warnings(messages), messages.status("verifying and building"):
            wheel = build_wheel(
                run,
                name=name,
                version=version,
                output=output,
                backend=backend,
                dtypes=dtype or (),
                library=library,
                overwrite=overwrite,
                trust_remote_code=trust_remote_code,
            )
    if as_json:
        typer.echo(json.dumps({**asdict(wheel), "path": str(wheel.path)}, indent=2))
        return
    for line in _lines(wheel):
        messages.print(line, highlight=False)
    typer.echo(wheel.path)


def _lines(wheel: "Wheel") -> list[str]:
    lines = [f"[bold]built[/bold] {wheel.name} {wheel.version}, {decimal(wheel.size)}"]
    lines += [f"requires {escape(line)}" for line in wheel.requires]
    lines += [f"requires {escape(line)} for {escape(f'{wheel.name}[{extra}]')}" for extra, line in wheel.extras.items()]
    if wheel.texts:
        lines.append(f"golden.json contains {wheel.texts} texts of your data, which everyone with the wheel can read")
    if wheel.left_out:
        lines.append(f"not in the wheel: {escape(', '.join(wheel.left_out))}")
    if wheel.note:
        lines.append(f"[yellow]{escape(wheel.note)}[/yellow]")
    return lines
