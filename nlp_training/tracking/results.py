"""Conversion of configurations and scores for trackers to flat names with numbers or short texts."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Metrics = Mapping[str, Mapping[str, Any]]


def flat_scores(metrics: Metrics) -> dict[str, float]:
    """Return the overall scores of each data set and the ends of their intervals by flat names.

    Args:
        metrics: results of `nlp_training.evaluation.score`, by data set.

    Example:
        >>> flat_scores({"test": {"f1": 0.5, "support": 3, "interval": {"f1": [0.4, 0.6]}}})
        {'test/f1': 0.5, 'test/f1/low': 0.4, 'test/f1/high': 0.6}
    """
    return {name: value for data, scores in metrics.items() for name, value in _scores_of(data, scores)}


def _scores_of(data: str, scores: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in scores.items():
        if isinstance(value, float):
            yield f"{data}/{name}", value
            for which, end in zip(("low", "high"), scores.get("interval", {}).get(name, ()), strict=False):
                yield f"{data}/{name}/{which}", end


def score_lines(metrics: Metrics) -> str:
    """Return the overall scores with their intervals as a Markdown table.

    Example:
        >>> print(score_lines({"test": {"f1": 0.5, "interval": {"f1": [0.4, 0.6]}}}))
        | data | score | value | 95 % interval |
        | --- | --- | --- | --- |
        | test | f1 | 0.5000 | 0.4000 to 0.6000 |
    """
    lines = ["| data | score | value | 95 % interval |", "| --- | --- | --- | --- |"]
    for data, scores in metrics.items():
        for name, value in scores.items():
            if isinstance(value, float):
                between = " to ".join(f"{end:.4f}" for end in scores.get("interval", {}).get(name, ()))
                lines.append(f"| {data} | {name} | {value:.4f} | {between} |")
    return "\n".join(lines)


def flat_settings(config: Mapping[str, Any], *, without: Iterable[str] = ()) -> dict[str, str | int | float | bool]:
    """Return the settings of a run by dotted names. A list becomes a string, and unset values are omitted.

    Args:
        config: a configuration as JSON.
        without: sections to omit.

    Example:
        >>> flat_settings({"seed": 1, "data": {"train": {"path": "a"}}, "augment": ["x", {"y": 1}], "loss": None})
        {'seed': 1, 'data.train.path': 'a', 'augment': "['x', {'y': 1}]"}
    """
    omitted = set(without)
    return dict(_settings_in({key: value for key, value in config.items() if key not in omitted}, ""))


def _settings_in(config: Mapping[str, Any], before: str) -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _settings_in(value, f"{before}{key}.")
        elif isinstance(value, str | int | float):
            yield f"{before}{key}", value
        elif value:
            yield f"{before}{key}", str(value)
