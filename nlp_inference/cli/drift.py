"""`nlp-inference drift`: comparison of current documents with the training documents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nlp_inference._utils.terminal import Console
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
    reading,
    stop,
)
from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.drift import DriftReport, Profile
    from nlp_inference.predict.predictor import Predictor

_SHOWN_BINS = 3
_STYLES = {"moved": "bold red", "watch": "yellow", "stable": "dim"}


def drift(  # noqa: PLR0913 - each is an option of the command
    model: Model,
    source: Annotated[
        str | None,
        typer.Argument(help="Documents to predict and compare: texts or JSON Lines, as for `predict`; - for stdin."),
    ] = None,
    *,
    profile: Annotated[
        Path | None, typer.Option(help="Instead of SOURCE: a saved JSON file of Predictor.profile().")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    backend: Backend = AUTO,
    device: Device = None,
    dtype: Precision = None,
    revision: Revision = "main",
    trust_remote_code: Trust = False,
) -> None:
    """Compare the documents of SOURCE with the training documents of MODEL; the exit status is 1 if a feature moved.

    The measure is the population stability index: a feature with 0.1 or more needs attention, with 0.25 or more it has
    moved. With few documents, the thresholds are increased to the index that chance alone gives. The exit status is 2
    if nothing could be compared, for example because the model has no profile or cannot be loaded.
    """
    from nlp_inference.drift import compare_profiles, load_profile
    from nlp_inference.drift.profile import PROFILE_FILE
    from nlp_inference.hub import SETTINGS_FILES, artefact_folder

    messages = Console(stderr=True, soft_wrap=True)
    if (source is None) == (profile is None):
        raise typer.BadParameter("pass either SOURCE, documents to predict, or --profile, a saved profile")
    try:
        before = load_profile(artefact_folder(model, files=SETTINGS_FILES, revision=revision) / PROFILE_FILE)
        if profile is not None:
            now = load_profile(profile)
        else:
            loading = Loading(model, device, dtype, revision, trust_remote_code, backend)
            predictor = load_predictor(loading, messages=messages, status=NOT_CHECKED)
            now = _profile_of(str(source), predictor, messages)
        report = compare_profiles(before, now)
    except (NlpInferenceError, OSError) as error:
        raise stop(error, messages, doing="cannot compare: ", status=NOT_CHECKED) from error
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        Console().print(_table(report))
    raise typer.Exit(1 if report.moved else 0)


def _profile_of(source: str, predictor: "Predictor", messages: Console) -> "Profile":
    from nlp_inference.document import FailedDocument

    with reading(source) as items:
        results = predictor.stream(items, on_error="record")
        failed = [result for result in results if isinstance(result, FailedDocument)]
    if failed:
        first = failed[0].description()
        messages.print(f"{len(failed)} document(s) failed and are not counted, the first: {first}", style="yellow")
    return predictor.profile()


def _table(report: "DriftReport") -> Table:
    table = Table(title=f"{report.documents_now} documents compared with {report.documents_before} training documents")
    for name in ("feature", "PSI", "by chance", "", "largest changes: training -> now"):
        table.add_column(name, justify="right" if name in {"PSI", "by chance"} else "left")
    for one in report.features:
        shares = [(change.name, f"{change.was:.0%}", f"{change.now:.0%}") for change in one.bins]
        changes = [f"{name}: {was} -> {now}" for name, was, now in shares if was != now][:_SHOWN_BINS]
        cells = (escape(one.feature), f"{one.index:.2f}", f"{one.noise:.2f}", one.verdict, escape(", ".join(changes)))
        table.add_row(*cells, style=_STYLES[one.verdict])
    return table
