"""Records and console tables of the trials of a search."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial
from rich.table import Table
from rich.text import Text

from nlp_training.search.counting import ERROR
from nlp_training.search.space import Space, values_of


def trial_record(trial: FrozenTrial, space: Space) -> dict[str, Any]:
    """Return a trial as JSON: `number`, `state`, `score`, `interval`, `values`, `evaluations`, `seconds`, `error`."""
    record = {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": trial.value,
        "values": values_of(trial, space),
        **{name: trial.user_attrs.get(name) for name in ("interval", "evaluations", "seconds", ERROR)},
    }
    return {name: value for name, value in record.items() if value is not None}


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, or the full key if several have the same last part.

    Example:
        >>> short_names(["training.learning_rate", "loss.focal.gamma"])
        {'training.learning_rate': 'learning_rate', 'loss.focal.gamma': 'gamma'}
    """
    lasts = [key.rpartition(".")[2] for key in keys]
    return {key: last if lasts.count(last) == 1 else key for key, last in zip(keys, lasts, strict=True)}


def trials_table(records: Sequence[Mapping[str, Any]], *, metric: str, keys: Sequence[str]) -> Table:
    """Build a table of trials with their values in the given order; pruned and failed trials are marked."""
    table = Table(title="trials, the best first")
    for heading in ("trial", metric, "95 % interval", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("values")
    names = short_names(keys)
    for record in records:
        values = [f"{names[key]} {shown_value(record['values'][key])}" for key in keys if key in record["values"]]
        ended = {"pruned": f"pruned after {record.get('evaluations')} evaluations", "complete": ""}
        how = ended.get(record["state"], f"failed: {record.get(ERROR, '')[:80]}")
        table.add_row(
            str(record["number"]),
            f"{record['score']:.4f}" if "score" in record else "",
            "–".join(f"{end:.3f}" for end in record.get("interval", ())),
            f"{record['seconds']:.0f}" if "seconds" in record else "",
            Text("\n".join([*values, *([how] if how else [])])),
            style=None if record["state"] == "complete" else "dim",
        )
    return table


def importance_table(importance: Mapping[str, float]) -> Table:
    """Build a table of the importance of each key."""
    table = Table(title="share of the score's variance that a key explains")
    table.add_column("key")
    table.add_column("share", justify="right")
    for key, share in importance.items():
        table.add_row(key, f"{share:.0%}")
    return table


def shown_value(value: Any) -> str:
    """Format a value of a key.

    Example:
        >>> shown_value(0.00031415926), shown_value(16), shown_value({"focal": {}})
        ('0.000314', '16', "{'focal': {}}")
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)
