"""The labels that a model was saved with are those that its processor decodes, whatever runs it."""

import json
from pathlib import Path

import pytest

from nlp_inference import TextClassification
from nlp_inference.backends.labels import check_labels, check_saved_labels
from nlp_inference.errors import ArtefactError

TASK = TextClassification(labels=("no", "yes"))


def saved(folder: Path, content: object) -> Path:
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "id2label", [{0: "yes", 1: "no"}, {0: "no"}, {0: "no", 1: "yes", 2: "maybe"}, {1: "no", 2: "yes"}]
)
def test_other_labels_are_refused(id2label: dict[int, str], tmp_path: Path) -> None:
    said = "but its processor decodes {0: 'no', 1: 'yes'}; they were not saved together"
    with pytest.raises(ArtefactError) as error:
        check_labels(id2label, task=TASK, source="model")
    assert str(error.value) == f"the model 'model' predicts {id2label!r}, {said}"
    with pytest.raises(ArtefactError, match="not saved together"):
        check_saved_labels(saved(tmp_path, {"id2label": id2label}), task=TASK)


def test_the_same_labels_pass_in_any_order_of_the_file(tmp_path: Path) -> None:
    check_labels({1: "yes", 0: "no"}, task=TASK, source="model")
    check_saved_labels(saved(tmp_path, {"id2label": {"1": "yes", "0": "no"}}), task=TASK)


def test_without_a_configuration_nothing_is_compared(tmp_path: Path) -> None:
    check_saved_labels(tmp_path, task=TASK)


def test_a_configuration_without_labels_has_those_of_transformers(tmp_path: Path) -> None:
    check_saved_labels(saved(tmp_path, {}), task=TextClassification(labels=("LABEL_0", "LABEL_1")))
    with pytest.raises(ArtefactError, match=r"predicts \{0: 'LABEL_0', 1: 'LABEL_1'\}"):
        check_saved_labels(tmp_path, task=TASK)


@pytest.mark.parametrize("content", [[], {"id2label": ["no", "yes"]}, {"id2label": {"first": "no"}}, None])
def test_a_damaged_configuration_is_a_clear_error(content: object, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"config.json of '.*' cannot be used"):
        check_saved_labels(saved(tmp_path, content), task=TASK)
