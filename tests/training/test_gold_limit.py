"""A run most of whose gold no model could give back ends before its first step."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_up_records import write_jsonl
from rich.console import Console

from nlp_training import RunConfig, train
from nlp_training.data import InvalidDataError
from nlp_training.data_report.check import check_data
from nlp_training.runs.materials import Materials


def halves(lost: int, kept: int) -> list[dict[str, Any]]:
    """Records with a name each; of `lost` of them half a word is annotated."""
    text = "Ana lives in Oslo"
    return [
        {"text": text, "spans": [{"start": 0, "end": 2 if number < lost else 3, "label": "PERSON"}]}
        for number in range(lost + kept)
    ]


@pytest.fixture
def run_with(span_run: RunConfig, tmp_path: Path):
    """The run on these records."""

    def make(records: list[dict[str, Any]], **data: Any) -> RunConfig:
        path = str(write_jsonl(tmp_path / "gold.jsonl", records))
        content = span_run.model_dump(exclude_none=True)
        return RunConfig.model_validate({**content, "data": {"train": path, **data}})

    return make


MESSAGE = (
    r"train: 97 of 120 gold annotations \(80\.8 %\) cannot be predicted by any model of this task "
    r"\(its edge lies inside a word 97\); data\.max_lost_gold allows 10 %\. "
    r"for 'its edge lies inside a word': annotate complete words, .*PERSON 'An': its edge lies inside a word"
)


def test_a_run_whose_gold_is_lost_ends_before_training(run_with) -> None:
    config = run_with(halves(97, 23))
    with pytest.raises(InvalidDataError, match=f"(?s){MESSAGE}"):
        train(config, console=Console(file=StringIO()))
    assert not (config.folder / "model").exists()
    assert not list(config.folder.rglob("checkpoint-*"))


def test_a_search_or_cross_validation_ends_too(run_with) -> None:
    config = run_with(halves(97, 23))
    with pytest.raises(InvalidDataError, match=f"(?s){MESSAGE}"):
        Materials.of(config).prepare(config)


def test_a_streamed_training_set_is_looked_at(run_with, tmp_path: Path) -> None:
    path = str(write_jsonl(tmp_path / "gold.jsonl", halves(97, 23)))
    config = run_with(halves(97, 23), train={"path": path, "streaming": True})
    task = {"token-classification": {"labels": ["PERSON"]}}
    config = config.model_copy(
        update={
            "processor": config.processor.model_copy(update={"task": task}),
            "training": {**config.training, "max_steps": 2},
        }
    )
    with pytest.raises(InvalidDataError, match=f"(?s){MESSAGE}"):
        train(config, console=Console(file=StringIO()))


@pytest.mark.parametrize(("lost", "limit"), [(1, 0.1), (2, 0.1), (20, 1.0)])
def test_up_to_the_limit_a_run_is_trained(run_with, lost: int, limit: float) -> None:
    config = run_with(halves(lost, 20 - lost), max_lost_gold=limit)
    config = config.model_copy(update={"training": {**config.training, "max_steps": 1}})
    assert train(config, console=Console(file=StringIO())).model.is_dir()


@pytest.mark.parametrize(("lost", "limit", "severity"), [(3, 0.1, "error"), (3, 0.5, "error"), (1, 0.01, "error")])
def test_check_data_says_the_same(run_with, lost: int, limit: float, severity: str) -> None:
    check = check_data(run_with(halves(lost, 17), max_lost_gold=limit))
    [finding] = [one for one in check.findings if one.kind == "ceiling"]
    assert finding.severity == severity
    assert ("max_lost_gold" in finding.text) == (lost > limit * (lost + 17))
    assert ("annotate complete words" in finding.text) == ("max_lost_gold" in finding.text)
