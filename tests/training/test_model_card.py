"""What the model card says."""

from pathlib import Path

import pytest

from nlp_inference import Processor
from nlp_training import RunConfig
from nlp_training.reports.lost_spans import SplitReport
from nlp_training.reports.model_card import model_card


def _card(base: str, processor: Processor, metrics: dict[str, dict[str, object]]) -> str:
    content = {"name": "demo", "model": {"base": base}, "data": {"train": "a"}, "processor": {"task": "t"}}
    return model_card(RunConfig.model_validate(content), processor, metrics, {"train": SplitReport(9, 9, ())})


def test_a_score_that_a_set_does_not_have_leaves_its_cell_empty(token_processor: Processor) -> None:
    card = _card("org/base", token_processor, {"empty": {"coverage": {}}, "test": {"f1": 0.5, "recall": 1.0}})
    assert "| data | f1 | recall |\n| --- | ---: | ---: |\n| empty |  |  |\n| test | 0.5000 | 1.0000 |" in card


@pytest.mark.parametrize(
    ("base", "is_on_the_hub"),
    [("org/base", True), ("bert-base-cased", True), ("package:a/b", False), ("/models/base", False), ("../a", False)],
)
def test_only_a_hub_id_is_given_as_the_base_model(token_processor: Processor, base: str, is_on_the_hub: bool) -> None:
    assert (f"base_model: {base}" in _card(base, token_processor, {})) is is_on_the_hub


def test_a_folder_that_looks_like_a_hub_id_is_none(
    token_processor: Processor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "org" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert "base_model" not in _card("org/base", token_processor, {})


def test_the_snippet_says_what_stands_in_the_place_of_the_name(token_processor: Processor) -> None:
    assert 'from_pretrained("demo")  # the folder or the Hub id' in _card("a/b", token_processor, {})
