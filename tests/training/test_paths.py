"""Paths of a hierarchy in training: metrics, mistakes, and a run."""

from io import StringIO

import pytest
from made_up_records import label_records, write_splits
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Category, Predictor
from nlp_inference.cli import app as inference
from nlp_inference.errors import NlpInferenceError
from nlp_training import RunConfig, train
from nlp_training.cli import app as training
from nlp_training.gold import gold_kind
from nlp_training.metrics import PathF1


def test_a_path_is_scored_at_each_level_and_by_its_nodes():
    scores = PathF1().compute(
        predictions=["a/b/c", "a/b", "a/x/y", "d", ""], references=["a/b/c", "a/b/c", "a/b", "a", "a"]
    )
    assert scores["accuracy"] == 0.2
    assert scores["level_1_accuracy"] == 0.6
    assert scores["level_2_accuracy"] == pytest.approx(2 / 3)
    assert scores["level_3_accuracy"] == 0.5
    nodes_right, nodes_found, nodes_gold = 3 + 2 + 1, 3 + 2 + 3 + 1, 3 + 3 + 2 + 1 + 1
    assert scores["hierarchical_precision"] == pytest.approx(nodes_right / nodes_found)
    assert scores["hierarchical_recall"] == pytest.approx(nodes_right / nodes_gold)
    assert scores["hierarchical_f1"] == pytest.approx(2 * nodes_right / (nodes_found + nodes_gold))


@pytest.mark.parametrize(
    ("found", "gold", "mistake"),
    [
        ("a/b", "a/b", None),
        ("a", "a/b", "too short"),
        ("a/b/c", "a/b", "too long"),
        ("a/c", "a/b", "wrong below the first level"),
        ("c", "a/b", "wrong branch"),
        (None, "a/b", "missed"),
    ],
)
def test_mistakes_say_at_which_level_a_path_is_wrong(found, gold, mistake):
    predicted = Annotation(categories=() if found is None else (Category(label=found),))
    [one] = gold_kind("path").find_mistakes(predicted, Annotation(categories=(Category(label=gold),)))
    assert one.name == mistake


def path_records(prefix, size):
    return [{**one, "label": f"mail/{one['label']}"} for one in label_records(prefix, size)]


def run_of(folder, base, records):
    return RunConfig.model_validate(
        {
            "name": "paths",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": write_splits(folder, records),
            "processor": {"task": "hierarchical-classification"},
            "training": {
                "num_train_epochs": 6,
                "learning_rate": 0.02,
                "per_device_train_batch_size": 8,
                "bf16": False,
            },
        }
    )


def test_a_run_predicts_paths_and_is_verified_and_exported(tmp_path, tiny_base):
    result = train(run_of(tmp_path, tiny_base, path_records), console=Console(file=StringIO()))
    assert result.metrics["test"]["level_1_accuracy"] == 1.0
    assert result.metrics["test"]["hierarchical_f1"] > 0.9
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
    record = path_records("test", 1)[0]
    [category] = Predictor.from_pretrained(result.model, backend="onnx").predict(record["text"]).predicted.categories
    assert category.label == record["label"]


def test_a_path_with_an_empty_name_is_named_before_training(tmp_path, tiny_base):
    def broken(prefix, size):
        return [{**one, "label": "mail//" + one["label"]} for one in label_records(prefix, size)]

    with pytest.raises(NlpInferenceError, match="empty name"):
        train(run_of(tmp_path, tiny_base, broken), console=Console(file=StringIO()))
