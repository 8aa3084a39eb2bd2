"""What the model card says."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard, metadata_load

from nlp_inference import Processor
from nlp_training import RunConfig
from nlp_training.artefact.model_card import card_for, model_card
from nlp_training.data_report.split_measures import SplitMeasures

SYNTHETIC = {"synthetic_pii": {"split": "test", "size": 9}}


def _card(base: str, processor: Processor, metrics: dict[str, dict[str, object]]) -> str:
    content = {"name": "demo", "model": {"base": base}, "data": {"train": "a"}, "processor": {"task": "t"}}
    report = {"train": SplitMeasures(documents=9, annotations=9, sha256="c0ffee")}
    return model_card(RunConfig.model_validate(content), processor, metrics, report)


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


def test_the_metadata_is_what_the_hub_reads(token_processor: Processor, tmp_path: Path) -> None:
    content = {
        "name": "demo",
        "model": {"base": "org/base"},
        "data": {
            "train": {"path": "org/data", "name": "en"},
            "validation": "validation.jsonl",
            "test": {"hub": {"path": "org/data", "name": "en", "revision": "v1"}, "made": SYNTHETIC},
        },
        "processor": {"task": "t"},
    }
    metrics = {
        "validation": {"f1": 0.5, "recall": float("nan"), "support": 3, "per_label": {}},
        "hub": {"f1": 0.25},
        "made": {"f1": 1.0},
    }
    report = {"train": SplitMeasures(documents=9, annotations=9, sha256="c0ffee")}
    path = tmp_path / "README.md"
    path.write_text(model_card(RunConfig.model_validate(content), token_processor, metrics, report))
    metadata = metadata_load(path)
    [index] = metadata.pop("model-index")
    assert metadata == {
        "base_model": "org/base",
        "datasets": ["org/data"],
        "library_name": "nlp-inference",
        "metrics": ["f1"],
        "pipeline_tag": "token-classification",
        "tags": ["nlp-inference", "token-classification"],
    }
    assert index["name"] == "demo"
    assert [(one["dataset"], one["metrics"]) for one in index["results"]] == [
        (
            {"name": "validation", "type": "private", "split": "validation"},
            [{"type": "f1", "value": 0.5, "name": "f1"}],
        ),
        (
            {"name": "hub", "type": "org/data", "config": "en", "split": "test", "revision": "v1"},
            [{"type": "f1", "value": 0.25, "name": "f1"}],
        ),
        ({"name": "made", "type": "synthetic_pii", "split": "made"}, [{"type": "f1", "value": 1.0, "name": "f1"}]),
    ]
    results = ModelCard.load(path).data.eval_results
    assert results is not None
    assert [(one.task_type, one.dataset_name, one.metric_value) for one in results] == [
        ("token-classification", "validation", 0.5),
        ("token-classification", "hub", 0.25),
        ("token-classification", "made", 1.0),
    ]


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("package:own/base", "`package:own/base`"),
        ("org/base", "`org/base`"),
        ("/home/ana/base", "a local model"),
        ("C:/home/base", "a local model"),
    ],
)
def test_a_folder_of_this_machine_is_not_named(token_processor: Processor, base: str, told: str) -> None:
    card = _card(base, token_processor, {})
    assert ("home" in card, f"{told}" in card) == (False, True)


def test_the_digest_of_each_split_is_there(token_processor: Processor) -> None:
    assert "| data | documents | sha256 |\n| --- | ---: | --- |\n| train | 9 | `c0ffee` |" in _card(
        "a/b", token_processor, {}
    )


def test_a_published_card_has_the_id_in_every_snippet_and_nothing_else_changes(token_processor: Processor) -> None:
    local = _card("a/b", token_processor, {})
    published = card_for(local, "org/demo")
    assert published == local.replace('"demo"', '"org/demo"')
    assert published.count('"org/demo"') == 2
    assert card_for(published, "org/other") == card_for(local, "org/other")
