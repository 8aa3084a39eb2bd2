"""Comparison of runs: different settings, their scores, and a paired significance test."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nlp_inference import Document
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.data.errors import InvalidDataError
from nlp_training.evaluation import compare, paired_test
from nlp_training.evaluation.prediction_files import PredictionFile, kept_predictions, read_predictions
from nlp_training.gold import needs_of
from nlp_training.runs.folder import Run, read_run
from nlp_training.tracking.results import flat_settings

_NO_SETTINGS = ("name", "output_dir")


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The differences between runs.

    Attributes:
        runs: the runs in the given order.
        settings: the configuration keys whose values differ, with the value of each run.
        scores: by data set and score name, the value of each run and the ends of its interval.
        paired: by data set, the paired test of the second of two runs against the first.
        not_paired: by data set, the reason why there is no paired test.
    """

    runs: tuple[Run, ...]
    settings: Mapping[str, tuple[Any, ...]]
    scores: Mapping[tuple[str, str], tuple[tuple[float, Sequence[float]] | None, ...]]
    paired: Mapping[str, Mapping[str, Any]]
    not_paired: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON; values are in the order of the runs."""
        scores: dict[str, dict[str, Any]] = {}
        for (data, name), values in self.scores.items():
            scores.setdefault(data, {})[name] = [
                None if one is None else {"value": one[0], "interval": list(one[1]) or None} for one in values
            ]
        rest = asdict(self)
        return {
            "runs": [run.to_json() for run in self.runs],
            "settings": {key: list(values) for key, values in self.settings.items()},
            "scores": scores,
            "paired": rest["paired"],
            "not_paired": rest["not_paired"],
        }


def compare_runs(folders: Sequence[str | Path]) -> RunComparison:
    """Compare runs by their folders.

    Args:
        folders: the folders of at least two runs. Two runs are also tested on every data set whose predictions both
            runs kept.

    Raises:
        ArtefactError: a folder is not the folder of a run.
        InvalidSpecError: there are fewer than two folders.
    """
    if len(folders) < 2:
        raise InvalidSpecError(f"got {len(folders)} run; give at least two to compare")
    runs = tuple(read_run(folder) for folder in folders)
    paired, not_paired = _paired(*runs) if len(runs) == 2 else ({}, {})
    return RunComparison(runs, _different_settings(runs), _scores(runs), paired, not_paired)


def _different_settings(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    flat = [flat_settings(run.config, without=_NO_SETTINGS) for run in runs]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    found = {key: tuple(settings.get(key) for settings in flat) for key in keys}
    return {key: values for key, values in found.items() if len({repr(value) for value in values}) > 1}


def _scores(runs: Sequence[Run]) -> dict[tuple[str, str], tuple[tuple[float, Sequence[float]] | None, ...]]:
    keys = dict.fromkeys(
        (data, name)
        for run in runs
        for data, scores in run.metrics.items()
        for name, value in scores.items()
        if isinstance(value, float)
    )
    return {key: tuple(_score(run, *key) for run in runs) for key in keys}


def _score(run: Run, data: str, name: str) -> tuple[float, Sequence[float]] | None:
    scores = run.metrics.get(data, {})
    value = scores.get(name)
    return (value, tuple(scores.get("interval", {}).get(name, ()))) if isinstance(value, float) else None


def _paired(first: Run, second: Run) -> tuple[dict[str, Any], dict[str, str]]:
    kept = [{one.name: one for one in kept_predictions(run.folder)} for run in (first, second)]
    paired: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    needs = [_needs(run) for run in (first, second)]
    for data in dict.fromkeys((*first.metrics, *second.metrics)):
        if needs[0] is None or needs[0] != needs[1]:
            reasons[data] = "the runs have different kinds of tasks"
        elif not all(data in files for files in kept):
            reasons[data] = "only runs that kept their predictions can be tested"
        else:
            outcome = _test(*(files[data] for files in kept), needs=needs[0])
            paired |= {} if isinstance(outcome, str) else {data: outcome}
            reasons |= {data: outcome} if isinstance(outcome, str) else {}
    return paired, reasons


def _needs(run: Run) -> Spec | None:
    """Return the kind of gold of a run; the weights of scores do not matter."""
    spec = run.config.get("processor", {}).get("task")
    return None if not isinstance(spec, str | Mapping) else needs_of(spec)


def _test(first: PredictionFile, second: PredictionFile, *, needs: Spec) -> dict[str, Any] | str:
    try:
        documents = [[document for document, _ in read_predictions(file)] for file in (first, second)]
    except (InvalidDataError, OSError) as error:
        return " ".join(str(error).split())
    if any(_text_and_gold(one) != _text_and_gold(other) for one, other in zip_longest(*documents)):
        return "the runs have different documents or different gold"
    seen = [
        compare(((one, one.gold) for one in of_run if one.gold is not None), needs=needs, details=False)
        for of_run in documents
    ]
    return paired_test(*seen, needs=needs)


def _text_and_gold(document: Document | None) -> Any:
    return None if document is None else (document.raw_text, document.raw_text_pair, document.gold)
