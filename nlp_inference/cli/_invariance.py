"""Implementation of `nlp-inference verify --invariance MODEL FILE`."""

from dataclasses import replace
from typing import TYPE_CHECKING

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from nlp_inference._utils.terminal import Console
from nlp_inference.cli._shared import NOT_CHECKED, Loading, load_predictor, reading, stop
from nlp_inference.errors import NlpInferenceError

if TYPE_CHECKING:
    from nlp_inference.golden.invariance import InvarianceReport, VariantResult

_SHOWN_DOCUMENTS = 5


def check_invariance(loading: Loading, source: str, *, strict: bool, as_json: bool) -> typer.Exit:
    """Predict the lines of `source` under several conditions, show the differences, and return the exit status."""
    from nlp_inference.backends.descriptors import find_backend
    from nlp_inference.golden.invariance import run_invariance

    messages = Console(stderr=True, soft_wrap=True)
    predictor = load_predictor(loading, messages=messages, status=NOT_CHECKED)
    others = {}
    lower = find_backend(predictor.backend.name).lower_precision
    if predictor.backend.dtype == "float32" and lower is not None:
        others[lower] = load_predictor(replace(loading, dtype=lower), messages=messages, status=NOT_CHECKED)
    try:
        with reading(source) as read:
            items = list(read)
        report = run_invariance(predictor, items, others=others)
    except (NlpInferenceError, OSError) as error:
        return stop(error, messages, doing="cannot compare: ", status=NOT_CHECKED)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        Console().print(_report(report, loading.model, strict=strict))
    return typer.Exit(0 if report.ok and (report.all_same or not strict) else 1)


def _report(report: "InvarianceReport", model: str, *, strict: bool) -> Group:
    title = f"{model}, {report.backend} in {report.dtype}: each variant compared with documents predicted alone"
    table = Table(title=title, title_justify="left")
    table.add_column("variant")
    for name in ("documents", "differ", "only alone", "only variant", "other label", "score change"):
        table.add_column(name, justify="right")
    table.add_column("")
    lines = []
    for one in report.variants:
        is_failure = not one.same and (one.required or strict)
        counts = (one.documents, len(one.differing), one.only_baseline, one.only_variant, one.other_label)
        verdict = "same" if one.same else "DIFFERS" if one.required else "differs (allowed)"
        style = "red" if is_failure else "" if one.same else "yellow"
        table.add_row(one.variant, *map(str, counts), f"{one.largest_score_difference:.1e}", verdict, style=style)
        if is_failure:
            lines.append(Text(f"{one.variant}: {_which(one)}", style="red"))
    passed = not lines
    lines.append(Text("invariant" if passed else "not invariant", style="bold green" if passed else "bold red"))
    return Group(table, *lines)


def _which(one: "VariantResult") -> str:
    if not one.differing:
        return f"a score changed by {one.largest_score_difference:.1e}, more than {one.scores_within:g}"
    more = len(one.differing) - _SHOWN_DOCUMENTS
    shown = ", ".join(map(repr, one.differing[:_SHOWN_DOCUMENTS]))
    return f"the documents {shown}" + (f" and {more} more, see --json" if more > 0 else "")
