"""Thresholds are fitted to validation documents for the best F1, saved, and their scores marked as fitted."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_records import label_set_records, write_splits
from rich.console import Console
from sklearn.metrics import f1_score
from thorough import examples

from nlp_inference import Document, MultiLabelClassification, Predictor, Processor, TextClassification
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_training import RunConfig, train
from nlp_training.evaluation import FittingWarning, Thresholds, choose_fitters
from nlp_training.evaluation.thresholds import best_threshold, shrunk_threshold

LABELS = ("joy", "anger")


class ScoresOfWords(torch.nn.Module):
    """Gives the logits that the first token of a text stands for."""

    def __init__(self, logits: dict[int, list[float]]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, input_ids: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        return {"logits": torch.tensor([self.logits.get(int(row[1]), [0.0, 0.0]) for row in input_ids])}


@pytest.mark.parametrize(
    ("scores", "gold", "expected"),
    [
        ([0.9, 0.6, 0.4, 0.1], [1, 1, 0, 0], 0.5),
        ([0.8, 0.2, 0.2], [1, 1, 0], 0.139),  # equal scores are decided alike: two right and one wrong, F1 0.8
        ([0.8, 0.5], [1, 1], 0.366),  # nothing is below: the middle of 0.5 and 0.25
        ([0.8, 0.5, 0.5, 0.5], [1, 0, 0, 0], 0.667),
    ],
)
def test_the_threshold_of_the_best_f1_lies_between_two_scores(scores, gold, expected):
    found = best_threshold(np.array(scores), np.array(gold, dtype=bool))
    assert found == pytest.approx(expected, abs=0.01)


decisions = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30).filter(
    lambda pairs: any(gold for _, gold in pairs)
)


@settings(max_examples=examples(300))
@given(pairs=decisions)
def test_no_other_threshold_has_a_better_f1(pairs):
    scores, gold = (np.array(part) for part in zip(*pairs, strict=True))
    found = best_threshold(scores, gold.astype(bool))
    best = max(f1_score(gold, scores >= one) for one in scores)
    assert 0 <= found <= 1
    assert f1_score(gold, scores >= found) == pytest.approx(best)


def test_a_rare_label_stays_near_the_global_threshold():
    scores, gold = np.array([0.2, 0.1]), np.array([True, False])
    found = [shrunk_threshold(scores, gold, towards=0.5, shrinkage=one) for one in (0, 1, 10, 1e9)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(best_threshold(scores, gold), abs=1e-6)
    assert found[-1] == 0.5


def predictor_of(tokenizer: Any, rows: list[list[float]]) -> tuple[Predictor, list[str]]:
    texts = ["one", "two", "three", "four", "five"][: len(rows)]
    ids = [int(tokenizer(text)["input_ids"][1]) for text in texts]
    task = MultiLabelClassification(labels=LABELS)
    model = ScoresOfWords(dict(zip(ids, rows, strict=True)))
    return Predictor(Processor(tokenizer, task), TorchBackend(model, task=task)), texts


def documents_of(texts: list[str], golds: list[list[str]]) -> list[Document]:
    return [
        Document(raw_text=text, gold={"categories": [{"label": label} for label in gold]})
        for text, gold in zip(texts, golds, strict=True)
    ]


def test_fitting_sets_both_fields_and_leaves_the_others(tokenizer):
    predictor, texts = predictor_of(tokenizer, [[2.0, -3.0], [-1.0, -3.0], [-2.0, -1.0], [-3.0, -3.0]])
    documents = documents_of(texts, [["joy"], ["joy"], ["anger"], []])
    fitted = Thresholds(shrinkage=0).fit(predictor, documents, seed=0)
    assert isinstance(fitted, MultiLabelClassification)
    assert fitted.threshold == pytest.approx(1 / (1 + np.exp(1.5)), abs=1e-6)  # between the logits -1 and -2
    assert fitted.thresholds == pytest.approx({"joy": 1 / (1 + np.exp(1.5)), "anger": 1 / (1 + np.exp(2.0))}, abs=1e-6)
    assert fitted.model_copy(update={"threshold": 0.5, "thresholds": {}}) == predictor.processor.task


def test_labels_that_no_document_has_get_the_global_threshold(tokenizer):
    predictor, texts = predictor_of(tokenizer, [[2.0, -3.0], [-1.0, -3.0]])
    fitted = Thresholds().fit(predictor, documents_of(texts, [["joy"], []]), seed=0)
    assert list(fitted.thresholds) == ["joy"]


def test_without_any_label_nothing_is_fitted(tokenizer):
    predictor, texts = predictor_of(tokenizer, [[2.0, -3.0], [-1.0, -3.0]])
    with pytest.warns(FittingWarning, match="no validation document has a label"):
        assert Thresholds().fit(predictor, documents_of(texts, [[], []]), seed=0) == predictor.processor.task


def test_documents_without_gold_are_refused(tokenizer):
    predictor, _ = predictor_of(tokenizer, [[2.0, -3.0]])
    with pytest.raises(InvalidDocumentError, match="document 'x' has no gold to fit thresholds to"):
        Thresholds().fit(predictor, [Document(raw_text="one", id="x")], seed=0)


def test_thresholds_are_fitted_by_default_where_the_config_sets_none():
    plain, set_by_hand = MultiLabelClassification(labels=LABELS), MultiLabelClassification(labels=LABELS, threshold=0.3)
    assert choose_fitters(plain, has_validation=True) == (Thresholds(),)
    assert choose_fitters(plain, has_validation=False) == ()
    assert choose_fitters(plain, [], has_validation=True) == ()
    assert choose_fitters(set_by_hand, has_validation=True) == ()
    assert choose_fitters(set_by_hand, [{"thresholds": 5}], has_validation=True) == (Thresholds(shrinkage=5),)
    assert [one.name for one in choose_fitters(plain, calibrate=True, has_validation=True)] == [
        "temperature",
        "thresholds",
    ]


def test_a_task_without_thresholds_is_refused():
    with pytest.raises(InvalidSpecError, match="the task 'text-classification' has no 'threshold' to fit"):
        choose_fitters(TextClassification(labels=LABELS), ["thresholds"], has_validation=True)


def run_of(folder: Path, base: Path, *splits: str, **more: Any) -> RunConfig:
    data = {name: path for name, path in write_splits(folder, label_set_records).items() if name in splits}
    return RunConfig.model_validate(
        {
            "name": "labels",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": data,
            "processor": {"task": "multi-label-classification"},
            "training": {
                "num_train_epochs": 8,
                "learning_rate": 0.02,
                "per_device_train_batch_size": 8,
                "bf16": False,
            },
            **more,
        }
    )


def test_a_run_saves_the_thresholds_and_marks_the_scores_they_were_fitted_to(tmp_path: Path, tiny_base: Path) -> None:
    console = Console(file=StringIO(), width=200)
    run = run_of(tmp_path, tiny_base, "train", "validation", "test")
    result = train(run, console=console)
    scores = result.metrics["test"]
    assert scores["f1"] > 0.9
    assert scores["macro_average_precision"] > 0.9
    assert scores["lrap"] > 0.9
    assert result.metrics["validation"]["fitted"] == ["threshold", "thresholds"]
    assert "fitted" not in scores
    saved = json.loads((result.model / "processor_config.json").read_text())["task"]["multi-label-classification"]
    assert set(saved["thresholds"]) == {"warm", "hot"}
    note = "validation: threshold, thresholds were fitted to these documents, so that their scores are too good."
    report = (result.model.parent / "report.html").read_text()
    for text in (console.file.getvalue(), (result.model / "README.md").read_text(), report):  # type: ignore[attr-defined]
        assert note in text
        assert "There is no test set" not in text
    assert "fit:\n- thresholds" in (result.model / "training.yaml").read_text()  # training it again fits again
    state = json.loads(max(tmp_path.glob("runs/labels/checkpoints/*/trainer_state.json")).read_text())
    assert state["best_metric"] is not None
    assert "metric_for_best_model: eval_micro_average_precision" in (result.model / "training.yaml").read_text()


def test_a_run_without_a_test_set_warns(tmp_path: Path, tiny_base: Path) -> None:
    run = run_of(tmp_path, tiny_base, "train", "validation")
    run = run.model_copy(update={"training": {**run.training, "num_train_epochs": 1}})
    with pytest.warns(
        FittingWarning, match="threshold, thresholds will be fitted to the validation documents, and there"
    ):
        result = train(run, console=Console(file=StringIO()))
    assert (
        "There is no test set, so that no score here is one of new documents."
        in (result.model / "README.md").read_text()
    )
