"""`calibrate: true` fits a temperature on validation, which is saved, scored with and served."""

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_records import label_records, write_jsonl
from rich.console import Console

from nlp_inference import Predictor, Processor, golden
from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, load_documents, train
from nlp_training.evaluation import evaluate_documents
from nlp_training.temperature import best_temperature, check_calibration, fit_temperature, with_temperature


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=160)


def calibrated(run: RunConfig, **training: object) -> RunConfig:
    return run.model_copy(update={"calibrate": True, "training": {**run.training, **training}})


def saved_task(model: Path) -> dict[str, object]:
    task: dict[str, object] = json.loads((model / "processor_config.json").read_text())["task"]
    return task


def test_a_run_saves_scores_and_serves_with_its_temperature(span_run: RunConfig, console: Console) -> None:
    assert not span_run.calibrate  # unless it is asked for
    result = train(calibrated(span_run, num_train_epochs=1, learning_rate=0.005), console=console)
    temperature = saved_task(result.model)["token-classification"]["temperature"]
    assert temperature != 1
    predictor = Predictor.from_pretrained(result.model, verify=True)
    validation = load_documents(span_run.data.validation)
    assert evaluate_documents(predictor, validation) == result.metrics["validation"]
    assert fit_temperature(predictor, validation, seed=span_run.seed) == temperature
    before = Predictor(with_temperature(predictor.processor, 1.0), predictor.backend)
    plain = evaluate_documents(before, validation)
    assert plain["f1"] == result.metrics["validation"]["f1"]
    assert plain["calibration"] != result.metrics["validation"]["calibration"]
    records = golden.read_golden(result.model)
    assert not golden.verify(before, records).ok


def test_categories_are_calibrated_and_the_tables_say_everything(
    label_run: RunConfig, tmp_path: Path, console: Console
) -> None:
    content = label_run.model_dump(exclude_none=True)
    content["data"]["validation"] = str(write_jsonl(tmp_path / "validation.jsonl", label_records("validation", 12)))
    content["processor"]["task"] = {"text-classification": {"top_k": None}}
    result = train(calibrated(RunConfig.model_validate(content)), console=console)
    assert saved_task(result.model)["text-classification"]["temperature"] == pytest.approx(0.05, rel=1e-3)  # all right
    scores = result.metrics["test"]
    assert (scores["ranking"]["roc_auc"], scores["ranking"]["average_precision"]) == (1.0, 1.0)
    assert scores["calibration"]["ece"] < 1e-4
    printed = console.file.getvalue()
    for name in ("95 % interval", "1.000–1.000", "ROC-AUC", "expected calibration error", "weighted F1"):
        assert name in printed
    card = (result.model / "README.md").read_text()
    assert "1.0000 (1.000–1.000)" in card
    assert "In brackets: 95 % intervals" in card


def test_the_temperature_is_that_of_the_logits_that_were_made_too_certain() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(scale=2, size=(20_000, 5)).astype(np.float32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = (chances.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    for factor in (0.4, 1.0, 3.0):
        assert best_temperature(logits * np.float32(factor), gold) == pytest.approx(factor, rel=0.03)


def test_more_decisions_than_are_needed_are_not_read(
    token_processor: Processor, saved_model: Path, span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = load_documents(span_run.data.train)
    predictor = Predictor.from_pretrained(saved_model)
    every = fit_temperature(predictor, documents)
    monkeypatch.setattr("nlp_training.temperature.DECISIONS", 8)
    few = [fit_temperature(predictor, documents, seed=seed) for seed in (0, 0, 1, 2)]
    assert few[0] == few[1]
    assert len({every, *few}) > 1


def test_calibration_without_validation_is_refused_before_training(label_run: RunConfig, console: Console) -> None:
    with pytest.raises(InvalidSpecError, match=r"nothing to fit a temperature to; give data\.validation"):
        train(calibrated(label_run), console=console)


def test_a_task_without_a_softmax_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="the task 'ranking' makes its scores by no softmax"):
        check_calibration(SimpleNamespace(name="ranking"), has_validation=True)


def test_empty_documents_give_no_temperature(saved_model: Path, tmp_path: Path) -> None:
    empty = load_documents(str(write_jsonl(tmp_path / "empty.jsonl", [{"text": "", "spans": []}])))
    with pytest.raises(InvalidSpecError, match="all empty"):
        fit_temperature(Predictor.from_pretrained(saved_model), empty)
