"""Splits that the YAML of a run asks for: made of the training documents, the same each time, kept in what is saved."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from made_up_records import span_records, write_jsonl
from typer.testing import CliRunner

from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, load_config, train
from nlp_training.artefact.model_card import _results
from nlp_training.cli import app
from nlp_training.config import save_config
from nlp_training.data import InvalidDataError, SplitSettings
from nlp_training.data_report.check import check_data
from nlp_training.trainer.arguments import resolve_training
from nlp_training.trainer.splits import load_splits


@pytest.fixture
def asked(span_run: RunConfig, tmp_path: Path):
    """The run on sentences with spans of ten patients, with the splits that are asked for."""
    records = [{**record, "patient": at % 10} for at, record in enumerate(span_records("train", 100))]
    content = span_run.model_dump(exclude_none=True)

    def run(split: dict[str, Any], **data: Any) -> RunConfig:
        train_file = str(write_jsonl(tmp_path / "all.jsonl", records))
        return RunConfig.model_validate({**content, "data": {"train": train_file, "split": split, **data}})

    return run


def ids(documents):
    return [document.id for document in documents]


def test_validation_and_test_are_made_of_train(asked):
    splits = load_splits(asked({"validation": 0.1, "test": 0.2, "seed": 13}))
    assert {name: len(documents) for name, documents in splits.items()} == {"train": 70, "validation": 10, "test": 20}
    assert list(splits) == ["train", "validation", "test"]
    assert sorted(name for documents in splits.values() for name in ids(documents)) == sorted(
        f"train-{number}" for number in range(100)
    )


def test_no_patient_is_in_two_splits(asked):
    splits = load_splits(asked({"validation": 0.2, "test": 0.2, "group_by": "metadata.patient"}))
    patients = [{document.metadata["patient"] for document in documents} for documents in splits.values()]
    assert sorted(map(len, patients)) == [2, 2, 6]
    assert len(set.union(*patients)) == 10


def test_the_seed_of_the_splits_is_not_that_of_the_run(asked):
    config = asked({"test": 0.2})
    again = config.model_copy(update={"seed": config.seed + 1})
    other = asked({"test": 0.2, "seed": 7})
    assert ids(load_splits(config)["test"]) == ids(load_splits(again)["test"])
    assert ids(load_splits(config)["test"]) != ids(load_splits(other)["test"])


def test_what_is_given_stays_beside_what_is_made(asked, tmp_path):
    given = str(write_jsonl(tmp_path / "given.jsonl", span_records("given", 5)))
    splits = load_splits(asked({"test": 0.2}, validation=given, test={"hard": given}))
    assert {name: len(documents) for name, documents in splits.items()} == {
        "train": 80,
        "validation": 5,
        "hard": 5,
        "test": 20,
    }


def test_a_saved_configuration_makes_the_same_splits(asked, tmp_path):
    config = asked({"validation": 0.1, "seed": 13, "group_by": "text", "stratify": False})
    save_config(config, tmp_path / "saved.yaml")
    saved = load_config(tmp_path / "saved.yaml")
    assert saved.data.split == SplitSettings(validation=0.1, seed=13, group_by="text", stratify=False)
    assert load_splits(saved) == load_splits(config)


@pytest.mark.parametrize(
    ("split", "data", "message"),
    [
        ({}, {}, "the shares are {}; set validation, test or both, with a sum less than 1"),
        ({"validation": 0.5, "test": 0.5}, {}, "with a sum less than 1"),
        ({"validation": 1.5}, {}, "data.split.validation"),
        ({"dev": 0.1}, {}, "data.split.dev"),
        ({"test": 0.1, "group_by": "patient"}, {}, "cannot group by 'patient'; use text, or a key such as metadata."),
        ({"validation": 0.1}, {"validation": "v.jsonl"}, "validation has a source, and split also makes it from train"),
        ({"test": 0.1}, {"test": "t.jsonl"}, "test has a source, and split also makes it from train; remove one"),
    ],
)
def test_what_cannot_be_asked_for(split, data, message, tmp_path):
    path = tmp_path / "run.yaml"
    content = {"train": "all.jsonl", "split": split, **data}
    path.write_text(
        f"name: a\nmodel: {{base: b}}\nprocessor: {{task: text-classification}}\ndata: {json.dumps(content)}"
    )
    with pytest.raises(InvalidSpecError) as error:
        load_config(path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"test": 0.1, "group_by": "metadata.ward"}, r"all\.jsonl:1\) has no metadata\.ward"),
        ({"test": 0.001}, "the split 'test' would be empty: there are 100 documents in 100 groups"),
    ],
)
def test_what_the_documents_do_not_allow(asked, split, message):
    config = asked(split)
    with pytest.raises(InvalidDataError, match=message):
        load_splits(config)
    [finding] = [found for found in check_data(config).findings if found.kind == "no-split"]
    assert (finding.severity, finding.split) == ("error", "train")
    assert re.search(message, finding.examples[0])


def test_a_check_looks_at_the_splits_that_training_would_make(asked):
    check = check_data(asked({"validation": 0.1, "test": 0.2}))
    assert {name: split.documents for name, split in check.splits.items()} == {
        "train": 70,
        "validation": 10,
        "test": 20,
    }


def test_a_made_validation_set_is_evaluated_on(asked):
    assert resolve_training(asked({"validation": 0.1}), best_metric="f1")["eval_strategy"] == "epoch"
    asked_for = asked({"test": 0.1}).model_copy(update={"training": {"eval_strategy": "epoch"}})
    with pytest.raises(InvalidSpecError, match="there is nothing to evaluate on; set"):
        resolve_training(asked_for, best_metric="f1")


def test_the_card_names_the_data_set_that_a_made_split_is_of(asked):
    config = asked({"validation": 0.1}, train="org/letters", test="test.jsonl")
    results = _results(config.data, {"validation": {"f1": 0.5}, "test": {"f1": 0.25}}, "token-classification")
    assert [(one.dataset_type, one.dataset_name, one.dataset_split) for one in results] == [
        ("org/letters", "validation", "train"),
        ("private", "test", "test"),
    ]


def test_a_preview_shows_training_documents_only(asked, tmp_path):
    config = asked({"test": 0.9}).model_copy(update={"augment": [{"change_case": 1.0}]})
    save_config(config, tmp_path / "run.yaml")
    done = CliRunner().invoke(app, ["preview-augmentation", str(tmp_path / "run.yaml"), "--json", "--count", "100"])
    assert done.exit_code == 0, done.output
    shown = {json.loads(line)["augmented"]["id"] for line in done.stdout.splitlines()}
    assert shown <= set(ids(load_splits(config)["train"]))
    assert shown


def test_a_run_trains_and_scores_what_was_split(asked):
    config = asked({"validation": 0.1, "test": 0.2}).model_copy(update={"training": {"num_train_epochs": 1}})
    result = train(config)
    assert list(result.metrics) == ["validation", "test"]
    counts = json.loads((result.model / "data_report.json").read_text())
    assert {name: split["documents"] for name, split in counts.items()} == {"train": 70, "validation": 10, "test": 20}
    assert load_config(result.model / "training.yaml").data.split == config.data.split
