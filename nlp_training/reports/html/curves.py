"""Learning curves from the log of the Trainer."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from nlp_training.gold import greater_is_better
from nlp_training.reports.html.charts import POINTS, Point, legend, line_chart

_SCORES = ("f1", "precision", "recall", "accuracy", "macro_f1", "pearson", "spearman")
"""The validation scores from 0 to 1 that share a chart."""

_ERRORS = ("mae", "rmse")
"""Validation errors that share a chart, from 0 on."""


class Curve(NamedTuple):
    """A chart with its title, its legend and a note."""

    title: str
    chart: Markup
    legend: Markup
    note: str


def curves(log: Sequence[Mapping[str, Any]], *, best: str | None) -> list[Curve]:
    """Build the charts of loss, validation scores, learning rate and gradient norm by epoch, if they were logged.

    Args:
        log: the `log_history` of the Trainer.
        best: the score that selected the best weights, if there is one.
    """
    found = []
    losses = {"training loss": _points(log, "loss"), "validation loss": _points(log, "eval_loss")}
    if any(losses.values()):
        found.append(_curve("Loss", losses, from_zero=True, note=_thinned_note(losses)))
    scores = {score_name(name): points for name in _SCORES if (points := _points(log, f"eval_{name}"))}
    if scores:
        reached = _best(_points(log, f"eval_{best}"), name=best) if best and best not in _ERRORS else None
        note = f"circle: best {score_name(best)}, {reached[1]:.4f} at epoch {reached[0]:g}" if best and reached else ""
        found.append(_curve("Validation scores", scores, best=reached, at_most=1.0, note=note))
    errors = {score_name(name): points for name in _ERRORS if (points := _points(log, f"eval_{name}"))}
    if errors:
        reached = _best(_points(log, f"eval_{best}"), name=best) if best in _ERRORS else None
        note = f"circle: best {score_name(best)}, {reached[1]:.4f} at epoch {reached[0]:g}" if best and reached else ""
        found.append(_curve("Validation errors", errors, best=reached, from_zero=True, note=note))
    if rates := _points(log, "learning_rate"):
        found.append(_curve("Learning rate", {"learning rate": rates}, from_zero=True, note=""))
    if norms := _points(log, "grad_norm"):
        lines = {"gradient norm": norms}
        found.append(_curve("Gradient norm", lines, from_zero=True, note=_thinned_note(lines)))
    return found


def score_name(name: str) -> str:
    """Return the display name of a score.

    Example:
        >>> score_name("macro_f1")
        'macro F1'
    """
    return name.replace("_", " ").replace("f1", "F1")


def _curve(
    title: str,
    lines: Mapping[str, Sequence[Point]],
    *,
    note: str,
    best: Point | None = None,
    from_zero: bool = False,
    at_most: float | None = None,
) -> Curve:
    logged = {name: points for name, points in lines.items() if points}
    chart = line_chart(
        logged, title=f"{title} by epoch", x_name="epoch", best=best, from_zero=from_zero, at_most=at_most
    )
    return Curve(title, chart, legend(list(logged)) if len(logged) > 1 else Markup(""), note)


def _points(log: Sequence[Mapping[str, Any]], key: str) -> list[Point]:
    return [
        (float(entry["epoch"]), float(entry[key]))
        for entry in log
        if isinstance(entry.get(key), int | float) and isinstance(entry.get("epoch"), int | float)
    ]


def _best(points: Sequence[Point], *, name: str) -> Point | None:
    choose = max if greater_is_better(name) else min
    return choose(points, key=lambda point: point[1], default=None)


def _thinned_note(lines: Mapping[str, Sequence[Point]]) -> str:
    longest = max(map(len, lines.values()))
    return f"{longest:,} values, drawn as at most {POINTS} means of neighbors" if longest > POINTS else ""
