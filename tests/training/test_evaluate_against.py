"""`nlp-training evaluate`, alone and against another model."""

import json
import shutil
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


def test_the_folder_of_a_run_stands_for_its_model(saved_model: Path, data: str, tmp_path: Path) -> None:
    shutil.copytree(saved_model, tmp_path / "run" / "model")
    assert run(str(tmp_path / "run"), data, "--json") == run(str(saved_model), data, "--json")


def test_data_may_be_a_mapping_as_in_a_configuration(saved_model: Path, data: str) -> None:
    assert run(str(saved_model), f"{{path: {data}, format: jsonl}}", "--json") == run(str(saved_model), data, "--json")
    refused = CliRunner().invoke(app, ["evaluate", str(saved_model), "{path: [}"])
    assert refused.exit_code == 1
    assert "'{path: [}' is not a YAML mapping" in " ".join(refused.stderr.split())


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


OWN_METRIC = """
from nlp_training.metrics import Metric

class FoundCount(Metric):
    name = "found_count"

    def view(self, document, gold):
        return len(document.predicted.spans), len(gold.spans)

    def score(self, predictions, references):
        return sum(predictions) / sum(references)
"""


def test_metrics_of_a_runs_own_are_computed_if_its_file_is_named(
    saved_model: Path, other_model: Path, data: str, tmp_path: Path
) -> None:
    (tmp_path / "my_scores.py").write_text(OWN_METRIC)
    config = tmp_path / "run.yaml"
    content = {"name": "own", "model": {"base": "org/base"}, "data": {"train": "a.jsonl"}, "processor": {"task": "t"}}
    config.write_text(json.dumps({**content, "modules": ["my_scores.py"], "metrics": ["found_count"]}))
    found = json.loads(run(str(saved_model), data, "--against", str(other_model), "--config", str(config), "--json"))
    plain = json.loads(run(str(saved_model), data, "--against", str(other_model), "--json"))
    for key, model in (("scores", saved_model), ("against", other_model)):
        documents = load_documents(data)
        spans = [len(one.predicted.spans) for one in Predictor.from_pretrained(model).predict(documents)]
        assert found[key].pop("found_count") == sum(spans) / sum(len(one.gold.spans) for one in documents if one.gold)
    assert found == plain
    shutil.copytree(saved_model, tmp_path / "trained")
    shutil.copy(config, tmp_path / "trained" / "training.yaml")
    said = CliRunner().invoke(app, ["evaluate", str(tmp_path / "trained"), data, "--json"])
    assert json.loads(said.stdout) == {"scores": plain["scores"]}
    assert "not computed: found_count; to compute them, pass --config" in said.stderr


def test_models_of_different_tasks_are_not_compared(saved_model: Path, text_processor: Processor, data: str) -> None:
    other = Predictor(text_processor, TorchBackend(tiny_model(text_processor.task), task=text_processor.task))
    with pytest.raises(InvalidSpecError, match="one model predicts 'spans', the other 'category'"):
        evaluate_pair(Predictor.from_pretrained(saved_model), other, documents=load_documents(data))
