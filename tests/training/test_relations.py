"""Relations go the whole route: data, training, report, export, verification, prediction."""

import json
from io import StringIO

import pytest
from made_up_records import relation_records, write_jsonl, write_splits
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Document, Predictor, Relation, Span
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, train
from nlp_training.cli import app as training

TEXT = "Dov of Lima met Ana of Oslo"


@pytest.fixture(scope="module")
def run(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("relations")
    return RunConfig.model_validate(
        {
            "name": "relations",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(tiny_base)},
            "data": write_splits(folder, relation_records),
            "processor": {
                "preprocess": ["strip_html"],
                "task": {
                    "relation-extraction": {
                        "types": {"lives_in": [["PERSON", "CITY"]], "met": [["PERSON", "PERSON"]]},
                        "symmetric": ["met"],
                    }
                },
            },
            "training": {
                "num_train_epochs": 20,
                "learning_rate": 0.01,
                "per_device_train_batch_size": 8,
                "bf16": False,
                "eval_strategy": "no",
                "save_strategy": "no",
            },
        }
    )


@pytest.fixture(scope="module")
def trained(run):
    return train(run, console=Console(file=StringIO()))


def facts(document):
    annotation = document.predicted
    surfaces = [document.surface(span) for span in annotation.spans]
    return [(surfaces[one.head], one.label, surfaces[one.tail]) for one in annotation.relations]


def test_a_run_learns_relations(trained):
    scores = trained.metrics["test"]
    assert scores["f1"] > 0.9
    assert scores["boundaries"]["f1"] >= scores["f1"]
    assert scores["spans"]["f1"] > 0.9
    assert scores["per_label"]["met"]["support"] == 16  # 8 documents, in both directions
