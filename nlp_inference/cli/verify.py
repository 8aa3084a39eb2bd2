"""`nlp-inference verify`: replay of the golden records of a model on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from nlp_inference._utils.terminal import Console
from nlp_inference.cli._invariance import check_invariance
from nlp_inference.cli._shared import (
    AUTO,
    NOT_CHECKED,
    Backend,
    Device,
    Loading,
    Model,
    Precision,
    Revision,
    Trust,
    load_predictor,
    stop,
)
from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.golden import Verification

_SHOWN_DIFFERENCES = 5


def verify(  # noqa: PLR0913 - each is an option of the command
    model: Model,
    source: Annotated[str | None, typer.Argument(help="With --invariance: a file of texts, or -.")] = None,
    *,
    invariance: Annotated[
        bool,
        typer.Option(
            "--invariance",
            help="Instead, predict the lines of SOURCE in other orders, batches, paddings, windows and precisions.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --invariance: other windows and precisions must also be equal.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON, with complete values.")] = False,
    backend: Backend = AUTO,
    device: Device = None,
    dtype: Precision = None,
    revision: Revision = "main",
    trust_remote_code: Trust = False,
) -> None:
    """Replay the golden records of MODEL on this machine, and name the first stage that differs.

    The stages are edits, ids, windows, logits, decoded, final and batched. The exit status is 1 if a record differs,
    and 2 if nothing could be verified: MODEL has no golden records or cannot be loaded, or no line can be predicted.
    """
    loading = Loading(model, device, dtype, revision, trust_remote_code, backend)
    if invariance != (source is not None):
        raise typer.BadParameter("--invariance requires SOURCE, a file of texts, and the reverse: pass both or neither")
    if source is not None:
        raise check_invariance(loading, source, strict=strict, as_json=as_json)
    verification = _replay(loading)
    if as_json:
        typer.echo(verification.model_dump_json(indent=2))
    else:
        Console().print(_report(verification, model))
    raise typer.Exit(0 if verification.ok else 1)


def _replay(loading: Loading) -> "Verification":
    from nlp_inference.backends.choice import (
        backend_files,
        choose_backend,
        choose_dtype,
        exported_on_hub,
        runs_exports,
    )
    from nlp_inference.golden import golden_file, read_golden
    from nlp_inference.golden import verify as verify_golden
    from nlp_inference.hub import MODEL_NEEDS, SETTINGS_FILES, artefact_folder

    messages = Console(stderr=True, soft_wrap=True)
    try:
        requested = loading.dtype
        chosen = choose_backend(loading.model, backend=loading.backend, dtype=requested)
        if requested is None and runs_exports(chosen) and not Path(loading.model).is_dir():
            settings = artefact_folder(loading.model, files=SETTINGS_FILES, revision=loading.revision)
            requested = exported_on_hub(settings, backend=chosen)
        dtype = choose_dtype(loading.model, backend=chosen, dtype=requested)
        files = (*SETTINGS_FILES, *backend_files(chosen, dtype=dtype))
        folder = artefact_folder(loading.model, files=files, needed=MODEL_NEEDS, revision=loading.revision)
        golden = read_golden(folder, name=golden_file(chosen, dtype))
        predictor = load_predictor(
            replace(loading, model=str(folder), backend=chosen, dtype=dtype), messages=messages, status=NOT_CHECKED
        )
        return verify_golden(predictor, golden)
    except NlpInferenceError as error:  # load_predictor reports its own errors
        raise stop(error, messages, doing=f"cannot verify {loading.model!r}: ", status=NOT_CHECKED) from error


def _report(verification: "Verification", model: str) -> Group:
    backend = f"{verification.backend} in {verification.dtype}"
    table = Table(title=f"{verification.records} golden records of {model}, with {backend}", title_justify="left")
    table.add_column("stage")
    table.add_column("same", justify="right")
    table.add_column("first difference", justify="right")
    for stage, same, differ in verification.by_stage():
        table.add_row(stage, str(same), str(differ or ""), style="red" if differ else "")
    return Group(table, *_verdict(verification))


def _verdict(verification: "Verification") -> list[Text]:
    if verification.ok:
        numbers = f"{verification.bit_for_bit} of {verification.records} bit for bit"
        if verification.bit_for_bit < verification.records:
            numbers += (
                f"; logits differ by {verification.largest_deviation:.1e} at most (allowed: "
                f"{verification.logits_within:g} for {verification.recorded_backend} in {verification.recorded_dtype} "
                f"and {verification.backend} in {verification.dtype})"
            )
        failing = f"; {verification.failing} fail as recorded" if verification.failing else ""
        return [Text(f"verified: {numbers}{failing}", style="bold green")]
    first = verification.first
    ordered = sorted(verification.differences, key=lambda difference: difference is not first)
    lines = [Text(f"not verified: {len(ordered)} of {verification.records} records differ", style="bold red")]
    lines += [Text(f"  {difference}", style="red") for difference in ordered[:_SHOWN_DIFFERENCES]]
    if len(ordered) > _SHOWN_DIFFERENCES:
        lines.append(Text(f"  and {len(ordered) - _SHOWN_DIFFERENCES} more, see --json"))
    return lines
