"""Console tables of a cross-validation."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def folds_table(scores: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    """Build a table of the scores of each fold."""
    table = Table(title="folds")
    table.add_column("fold")
    names = [name for name in names if all(name in one for one in scores)]
    for name in ("documents", *names):
        table.add_column(name, justify="right")
    for number, one in enumerate(scores, 1):
        table.add_row(str(number), str(one["coverage"]["documents"]), *(f"{one[name]:.4f}" for name in names))
    return table


def mean_table(means: Mapping[str, Mapping[str, Any]]) -> Table:
    """Build a table of the mean of each score over the folds."""
    table = Table(title="mean of the folds")
    table.add_column("score")
    for heading in ("mean", "95 % interval", "deviation"):
        table.add_column(heading, justify="right")
    for name, one in means.items():
        ends = "–".join(f"{end:.3f}" for end in one["interval"])
        table.add_row(name, f"{one['mean']:.4f}", ends, f"{one['deviation']:.4f}")
    return table
