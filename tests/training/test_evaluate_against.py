"""`nlp-training evaluate`, alone and against another model."""

import json
from pathlib import Path

import pytest
import torch
from made_up_records import span_records, write_jsonl
from tiny_models import tiny_model
from typer.testing import CliRunner

from nlp_inference import Predictor, Processor
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidSpecError
from nlp_training import load_documents
from nlp_training.cli import app
from nlp_training.evaluation import evaluate_documents, evaluate_pair


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(write_jsonl(tmp_path / "test.jsonl", span_records("test", 24)))


@pytest.fixture
def other_model(token_processor: Processor, tmp_path: Path) -> Path:
    model = tiny_model(token_processor.task)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        model.classifier.weight.normal_()
    token_processor.save_pretrained(tmp_path / "other")
    model.save_pretrained(tmp_path / "other")
    return tmp_path / "other"


def run(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["evaluate", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_holds_every_score(saved_model: Path, data: str) -> None:
    scores = evaluate_documents(Predictor.from_pretrained(saved_model), load_documents(data))
    assert json.loads(run(str(saved_model), data, "--json")) == {"scores": scores}
    assert set(scores) >= {"f1", "averages", "interval", "per_label", "matching", "tokens", "calibration"}


def test_a_model_against_another_one(saved_model: Path, other_model: Path, data: str) -> None:
    found = json.loads(run(str(saved_model), data, "--against", str(other_model), "--json"))
    documents = load_documents(data)
    for key, model in (("scores", saved_model), ("against", other_model)):
        assert found[key] == evaluate_documents(Predictor.from_pretrained(model), documents)
    paired = found["paired"]
    assert (paired["first"], paired["second"]) == (found["against"]["f1"], found["scores"]["f1"])
    assert paired["documents"] == 24
    assert 0 < paired["p_value"] <= 1
    printed = run(str(saved_model), data, "--against", str(other_model))
    header = next(line for line in printed.splitlines() if "95 % interval" in line)
    assert [cell.strip() for cell in header.split("┃")][2:5] == ["f1", "95 % interval", "precision"]
    for name in ("paired bootstrap on 24 documents", "difference", "95 % interval", "token F1", str(other_model)):
        assert name in " ".join(printed.split())


def test_models_of_different_tasks_are_not_compared(saved_model: Path, text_processor: Processor, data: str) -> None:
    other = Predictor(text_processor, TorchBackend(tiny_model(text_processor.task), task=text_processor.task))
    with pytest.raises(InvalidSpecError, match="one model finds 'spans', the other 'category'"):
        evaluate_pair(Predictor.from_pretrained(saved_model), other, documents=load_documents(data))
