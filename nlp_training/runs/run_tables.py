"""Console tables of runs, for a terminal of 80 columns."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nlp_inference._utils.shorten import shorten
from nlp_training.gold import greater_is_better
from nlp_training.reports.score_tables import paired_tables
from nlp_training.runs.compare import RunComparison
from nlp_training.runs.folder import Run, Score

_STYLES = {
    "finished": "green",
    "failed": "red",
    "broken": "red",
    "interrupted": "yellow",
    "running": "yellow",
    "unfinished": "yellow",
}
_LONGEST_SETTING = 200
_LONGEST_KEY = 28


def runs_table(runs: Sequence[Run]) -> Table:
    """Build a table of runs. A run has one line per data set, and at least three."""
    table = Table(show_lines=True)
    table.add_column("run", overflow="fold", max_width=20)
    table.add_column("began (UTC)", no_wrap=True)
    table.add_column("scores (95 % interval)", overflow="fold", min_width=33)
    for run in runs:
        about = Text("\n").join([Text(run.name, "bold"), *(Text(one, "dim") for one in (run.base, run.task) if one)])
        when = Text("\n").join([Text(run.status, _STYLES[run.status]), *map(Text, _when(run))])
        table.add_row(about, when, Text("\n").join(_score_lines(run)))
    return table


def _when(run: Run) -> Iterator[str]:
    if run.started is not None:
        yield _local(run.started)
    if run.seconds is not None:
        yield duration(run.seconds)
    if run.commit is not None:
        yield f"code {run.commit[:8]}"


def _local(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """Format seconds in two units at most.

    Example:
        >>> duration(42.4), duration(303), duration(7322)
        ('42 s', '5 min 3 s', '2 h 2 min')
    """
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    return f"{total // 60} min {total % 60} s" if total < 3600 else f"{total // 3600} h {total % 3600 // 60} min"


def _score_lines(run: Run) -> Iterator[Text]:
    for data, score in run.scores().items():
        yield Text.assemble(f"{data} {score.name} ", (f"{score.value:.4f}", "bold"), _between(score))
    if run.problem:
        yield Text(shorten(run.problem, width=_LONGEST_SETTING), "red")


def _between(score: Score) -> str:
    return "" if score.interval is None else f" ({score.interval[0]:.3f}–{score.interval[1]:.3f})"


def comparison_tables(found: RunComparison) -> Group:
    """Build tables of different settings, of scores with the best one highlighted, and of paired tests."""
    names = [run.name for run in found.runs]
    parts: list[RenderableType] = [_settings_table(found, names), _scores_table(found, names)]
    for data, result in found.paired.items():
        parts += [Text(f"\n{data}", "bold"), *paired_tables(result, model=names[1], against=names[0])]
    for why in dict.fromkeys(found.not_paired.values()):
        untested = ", ".join(data for data, reason in found.not_paired.items() if reason == why)
        parts.append(Text(f"{untested}: no paired test: {why}", "yellow"))
    return Group(*parts)


def _settings_table(found: RunComparison, names: Sequence[str]) -> RenderableType:
    if not found.settings:
        return Text("all settings are the same")
    table = _table("settings that differ", "key", names)
    for key, values in found.settings.items():
        table.add_row(
            _broken_at_dots(key),
            *(Text("–" if one is None else shorten(str(one), width=_LONGEST_SETTING)) for one in values),
        )
    return table


def _broken_at_dots(key: str) -> str:
    """Break a long key at its dots, so that no word is cut.

    Example:
        >>> print(_broken_at_dots("training.per_device_train_batch_size"))
        training.
        per_device_train_batch_size
    """
    lines = [""]
    for part in (f"{word}." for word in key.split(".")):
        if len(lines[-1] + part) > _LONGEST_KEY and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)[:-1]


def _scores_table(found: RunComparison, names: Sequence[str]) -> RenderableType:
    if not found.scores:
        return Text("there are no scores")
    table = _table("scores (95 % interval)", "data and score", names)
    for (data, name), values in found.scores.items():
        known = [one[0] for one in values if one is not None]
        best = max(known) if greater_is_better(name) else min(known)
        cells = [
            Text("–")
            if one is None
            else Text.assemble(
                (f"{one[0]:.4f}", "bold green" if one[0] == best else ""),
                "\n" + "–".join(f"{end:.3f}" for end in one[1]) if one[1] else "",
            )
            for one in values
        ]
        table.add_row(f"{data} {name}", *cells)
    return table


def _table(title: str, first: str, names: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", show_lines=True)
    table.add_column(first, overflow="fold", width=_LONGEST_KEY if len(names) == 2 else None)
    for name in names:
        table.add_column(Text(name), overflow="fold")
    return table
