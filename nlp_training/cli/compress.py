"""`nlp-training compress`: make a trained model smaller and faster, with a measured loss of its score."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import console_for, one_line_errors, set_fields, source_fields


def compress_model(  # noqa: PLR0913 - one option for each choice
    model: Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="The folder of a run, or of an artefact.")],
    *,
    out: Annotated[Path | None, typer.Option(help="The folder to write; RUN-compressed by default.")] = None,
    max_drop: Annotated[float, typer.Option(help="Points of the score that the chosen model may lose.")] = 0.5,
    data: Annotated[str | None, typer.Option(help="Documents with gold, instead of those of the run.")] = None,
    texts: Annotated[str | None, typer.Option(help="Documents without gold, which the model labels.")] = None,
    layers: Annotated[
        str | None, typer.Option(help="Layers to keep: numbers of layers or indices, such as 3,2 or 0-2-4,0-3.")
    ] = None,
    feed_forward: Annotated[
        str | None, typer.Option(help="Widths of feed-forward blocks: full is the width of the model, as in full,512.")
    ] = None,
    trim_vocabulary: Annotated[
        bool, typer.Option("--trim-vocabulary", help="Remove tokens that no training text has.")
    ] = False,
    epochs: Annotated[float | None, typer.Option(min=0, help="Epochs of each training.")] = None,
    backends: Annotated[str | None, typer.Option(help="Backends to export to, such as onnx,openvino.")] = None,
    dtypes: Annotated[str | None, typer.Option(help="Precisions to export, such as int8,float32.")] = None,
    int8_modes: Annotated[str | None, typer.Option(help="Scales of 8-bit activations: dynamic,static.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A key of each training, such as training.learning_rate=1e-4.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the measurement.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of samples and splits.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and write nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the compression in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report the result as JSON.")] = False,
) -> None:
    """Cut layers, distil, quantize and measure; choose the fastest model that loses at most --max-drop points."""
    messages = Console(stderr=True, soft_wrap=True)
    with one_line_errors():
        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training.compress import CompressOptions, compress
        from nlp_training.compress.record import record_of

        quiet_libraries()
        given: dict[str, Any] = {
            "layers": _list(layers),
            "feed_forward": _widths(feed_forward),
            "backends": _list(backends),
            "dtypes": _list(dtypes),
            "int8_modes": _list(int8_modes),
            "epochs": epochs,
            "settings": set_fields(settings, form="KEY=VALUE, such as training.learning_rate=1e-4"),
        }
        options = CompressOptions(
            max_drop=max_drop,
            trim_vocabulary=trim_vocabulary,
            seed=seed,
            rounds=rounds,
            **{name: value for name, value in given.items() if value},
        )
        with one_line_warnings(messages):
            found = compress(
                model,
                out,
                options=options,
                data=None if data is None else source_fields(data),
                texts=None if texts is None else source_fields(texts),
                dry_run=dry_run,
                resume=resume,
                overwrite=overwrite,
                console=console_for(as_json=as_json),
            )
        if as_json:
            typer.echo(json.dumps(record_of(found), indent=2, ensure_ascii=False))


def _list(given: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in (given or "").split(",") if one.strip())


def _widths(given: str | None) -> tuple[int | None, ...]:
    from nlp_inference.errors import InvalidSpecError

    parts = _list(given)
    if bad := [one for one in parts if one != "full" and (not one.isdigit() or one == "0")]:
        raise InvalidSpecError(f"--feed-forward has {bad[0]!r}; write positive numbers or full, such as full,512")
    return tuple(None if one == "full" else int(one) for one in parts)
