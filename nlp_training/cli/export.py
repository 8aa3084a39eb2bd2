"""`nlp-training export`: export a trained model to another backend, such as ONNX Runtime."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors, source_fields

if TYPE_CHECKING:
    from nlp_training.export import Exported, Refused


class Int8Scales(StrEnum):
    """The source of the scales of 8-bit activations."""

    DYNAMIC = "dynamic"
    STATIC = "static"


def export_run(
    run: Annotated[str, typer.Argument(help="The folder of a run, or its model folder.")],
    *,
    backend: Annotated[str, typer.Option(metavar="onnx|openvino", help="The backend of the exported model.")] = "onnx",
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            metavar="float32|bfloat16|float16|int8",
            help="A precision to export; repeatable. Default: all that the backend supports on this machine.",
        ),
    ] = None,
    int8_mode: Annotated[
        Int8Scales | None,
        typer.Option(
            help="Scales of 8-bit activations: dynamic for each text, or static from training documents. The default "
            "of onnx is dynamic; openvino supports only static.",
            show_default=False,
        ),
    ] = None,
    max_drop: Annotated[float, typer.Option(min=0, help="Points that the score may drop.")] = 0.3,
    data: Annotated[
        str | None, typer.Option(help="Documents with gold to score on, instead of the run's validation set.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that was saved with the model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report what was exported as JSON.")] = False,
) -> None:
    """Export a model to another backend, then verify and score it. Exits with 1 if a precision is refused."""
    messages = Console(stderr=True, soft_wrap=True)
    with one_line_errors():
        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training.export import Exported, export_model

        quiet_libraries()
        found: list[Exported | Refused] = []
        with one_line_warnings(messages), messages.status("exporting"):
            found += export_model(
                run,
                backend=backend,
                dtypes=dtype or None,
                int8_mode=None if int8_mode is None else int8_mode.value,
                max_drop=max_drop,
                data=None if data is None else source_fields(data),
                trust_remote_code=trust_remote_code,
            )
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in found], indent=2))
    else:
        Console().print(_table(found, backend), *_refusals(found), *_label_tables(found))
    if not all(isinstance(one, Exported) for one in found):
        raise typer.Exit(1)


def _table(found: "list[Exported | Refused]", backend: str) -> Table:
    from nlp_inference.backends.descriptors import find_backend
    from nlp_training.export import Exported

    name = next((one.score.name for one in found if one.score is not None), "score")
    table = Table(title=f"exported to {find_backend(backend).library}")
    for heading in ("precision", "size", f"{name} of the weights", f"{name} exported", "points lost", ""):
        table.add_column(heading, justify="left" if heading in {"precision", ""} else "right")
    for one in found:
        kept = isinstance(one, Exported)
        score = one.score
        cells = ("", "", "") if score is None else (f"{score.before:.4f}", f"{score.after:.4f}", f"{score.points:.2f}")
        size = decimal(one.size) if isinstance(one, Exported) else ""
        table.add_row(one.dtype, size, *cells, "kept" if kept else "refused", style="" if kept else "red")
    return table


def _refusals(found: "list[Exported | Refused]") -> list[str]:
    from nlp_training.export import Refused

    return [f"[red]{one.dtype} refused: {escape(one.reason)}[/red]" for one in found if isinstance(one, Refused)]


def _label_tables(found: "list[Exported | Refused]") -> list[Table]:
    """Build a table of the labels that lost points, for each precision that lost any."""
    tables = []
    for one in found:
        if one.score is None or not one.score.worst():
            continue
        table = Table(title=f"{one.dtype}: labels that lost")
        for heading in ("label", "gold", "F1 of the weights", "F1 exported", "points lost"):
            table.add_column(heading, justify="left" if heading == "label" else "right")
        for label in one.score.worst(5):
            cells = (str(label.support), f"{label.before:.4f}", f"{label.after:.4f}", f"{label.points:.2f}")
            table.add_row(escape(label.label), *cells)
        tables.append(table)
    return tables


def _as_json(one: "Exported | Refused") -> dict[str, Any]:
    from nlp_training.export import Exported

    score = one.score
    content: dict[str, Any] = {"dtype": one.dtype, "kept": isinstance(one, Exported)}
    if isinstance(one, Exported):
        content |= {"path": str(one.path), "size": one.size, "bit_for_bit": one.verification.bit_for_bit}
    else:
        content |= {"reason": one.reason}
    if score is not None:
        labels = {
            label.label: {"before": label.before, "after": label.after, "support": label.support}
            for label in score.labels
        }
        content |= {"score": score.name, "before": score.before, "after": score.after, "documents": score.documents}
        content |= {"points_lost": score.points, "per_label": labels}
    return content
