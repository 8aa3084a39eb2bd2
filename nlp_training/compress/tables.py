"""Console tables of a compression."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nlp_training.compress.candidates import Candidate, SetScore
from nlp_training.compress.choice import pareto_front, speed
from nlp_training.compress.measuring import Measured

if TYPE_CHECKING:
    from nlp_training.compress.run import Compression

_LABELS = 5


def plan_table(found: "Compression", stacks: Mapping[str, int]) -> Table:
    """Return a table of the students to train and of the variants to measure."""
    table = Table(
        "student", "layers", "feed-forward", title=f"students of {escape(found.source)}", title_justify="left"
    )
    for one in found.students:
        kept = "; ".join(f"{len(of)} of {stacks[name]}: {', '.join(map(str, of))}" for name, of in one.layers.items())
        table.add_row(one.name, kept, "as the teacher" if one.width is None else str(one.width))
    table.caption = f"each in {', '.join(one.name for one in found.variants)}; {found.options.epochs:g} epochs"
    table.caption_justify = "left"
    return table


def candidate_tables(found: "Compression") -> list[Table]:
    """Return two tables of all candidates, the fastest first: scores, and speed and size.

    Candidates of the Pareto front are bold. In a narrow terminal only their names are wrapped.
    """
    reference = found.teacher
    front = {one.name for one in pareto_front(found.candidates)}
    chosen = found.choice.candidate.name if found.choice is not None and found.choice.candidate is not None else ""
    scores = _empty_table("scores", score_name(found), "points", "95 % interval")
    speeds = _empty_table("speed and size", "docs/s", "x", "p50 ms", "p95 ms", "MB", "RAM MB", "start s")
    for one in sorted(found.candidates, key=speed, reverse=True):
        name = f"{one.name} (chosen)" if one.name == chosen else one.name
        style = "bold" if one.name in front else "dim" if one.refused else ""
        scores.add_row(name, *_score_cells(one), style=style)
        if one.measured is not None:
            speeds.add_row(name, *_speed_cells(one.measured, times=times_text(one, reference)), style=style)
    return [scores, speeds] if speeds.row_count else [scores]


def _empty_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("candidate", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def score_name(found: "Compression") -> str:
    """Return the name of the score that candidates are compared by."""
    if found.is_agreement:
        return "agreement"
    return next((one.validation.name for one in found.candidates if one.validation is not None), "score")


def _score_cells(one: Candidate) -> list[str]:
    if one.validation is None:
        return ["refused"]
    return [f"{one.validation.value:.4f}", f"{one.validation.change:+.2f}", interval_text(one.validation)]


def _speed_cells(found: Measured, *, times: str) -> list[str]:
    speeds = f"{found.documents_per_second:,.0f}", times, f"{found.p50:.2f}", f"{found.p95:.2f}"
    return [*speeds, f"{found.disk:.1f}", f"{found.resident:.0f}", f"{found.start:.2f}"]


def times_text(one: Candidate, reference: Candidate | None) -> str:
    """Return how many times as many documents a second a candidate reads as the teacher in float32."""
    if one.measured is None or reference is None or reference.measured is None:
        return ""
    return f"{one.measured.documents_per_second / reference.measured.documents_per_second:.1f}"


def interval_text(found: SetScore) -> str:
    """Return the interval of the change of a score in points, as the table of candidates shows the change.

    Example:
        >>> interval_text(SetScore(name="f1", teacher=0.9, value=0.8, drop=10, interval=(8, 12), documents=9))
        '-12.00 to -8.00'
    """
    return "" if found.interval is None else f"{0.0 - found.interval[1]:+.2f} to {0.0 - found.interval[0]:+.2f}"


def choice_lines(found: "Compression") -> list[Text]:
    """Return lines on the chosen candidate: why, its test scores, and the labels that lost most."""
    if found.choice is None or found.choice.candidate is None:
        return [Text(found.choice.reason if found.choice is not None else "", style="bold")]
    one = found.choice.candidate
    lines = [Text.assemble(("chosen ", "bold"), one.name, f": {found.choice.reason}")]
    for name, scored in one.test.items():
        lines.append(
            Text(f"{name}: {scored.name} {scored.value:.4f}, {scored.change:+.2f} points ({interval_text(scored)})")
        )
    lost = [
        label for label in (one.validation.labels if one.validation is not None else ()) if label.before > label.after
    ]
    if lost:
        shown = ", ".join(
            f"{label.label} {100 * (label.after - label.before):+.1f} (of {label.support})" for label in lost[:_LABELS]
        )
        lines.append(Text(f"labels that lost most: {shown}"))
    if found.model is not None:
        lines.append(Text.assemble(("model ", "bold"), str(found.model)))
    return lines
