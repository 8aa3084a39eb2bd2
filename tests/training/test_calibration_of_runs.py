"""`calibrate: true` fits a temperature on validation, which is saved, scored with and served."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_records import label_records, span_records, write_jsonl
from numpy.typing import NDArray
from rich.console import Console
from transformers import PreTrainedTokenizerBase

from nlp_inference import Document, Predictor, Processor, TokenClassification, golden
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import SpanClassification
from nlp_training import RunConfig, load_documents, train
from nlp_training.evaluation import FittingWarning, choose_fitters, evaluate_documents
from nlp_training.evaluation.fitting import with_task
from nlp_training.evaluation.temperature import Confidences, best_temperature, fit_temperature


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=160)


def calibrated(run: RunConfig, **training: object) -> RunConfig:
    return run.model_copy(update={"calibrate": True, "training": {**run.training, **training}})


def saved_task(model: Path) -> dict[str, object]:
    task: dict[str, object] = json.loads((model / "processor_config.json").read_text())["task"]
    return task


class SameTags(torch.nn.Module):
    """Tags the first two tokens of every text as one CITY, each with a chance of 0.88."""

    def forward(self, input_ids: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        logits = torch.zeros(*input_ids.shape, 3)
        logits[..., 0] = 30.0
        logits[:, 1:3] = 0.0
        logits[:, 1, 1] = logits[:, 2, 2] = 2.7
        return {"logits": logits}


def with_steps(predictor: Predictor, steps: list[Any]) -> Predictor:
    processor = predictor.processor
    other = Processor(processor.tokenizer, processor.task, processor.preprocess, steps, processor.windows)
    return Predictor(other, predictor.backend)


def test_a_run_saves_scores_and_serves_with_its_temperature(
    span_run: RunConfig, tmp_path: Path, console: Console
) -> None:
    assert not span_run.calibrate  # unless it is asked for
    write_jsonl(tmp_path / "validation.jsonl", span_records("validation", 48))
    result = train(calibrated(span_run, num_train_epochs=1, learning_rate=0.005), console=console)
    temperature = saved_task(result.model)["token-classification"]["temperature"]
    assert temperature != 1
    predictor = Predictor.from_pretrained(result.model, verify=True)
    validation = load_documents(span_run.data.validation)
    assert evaluate_documents(predictor, validation) | {"fitted": ["temperature"]} == result.metrics["validation"]
    assert fit_temperature(predictor, validation, seed=span_run.seed) == temperature
    before = Predictor(
        with_task(predictor.processor, predictor.processor.task.with_temperature(1.0)), predictor.backend
    )
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
    result = train(calibrated(RunConfig.model_validate(content), num_train_epochs=6), console=console)
    assert saved_task(result.model)["text-classification"].get("temperature", 1) <= 1  # all are right
    scores = result.metrics["test"]
    assert (scores["ranking"]["roc_auc"], scores["ranking"]["average_precision"]) == (1.0, 1.0)
    assert scores["calibration"]["ece"] < 1 / 13  # as certain as twelve right answers allow
    printed = console.file.getvalue()
    for name in ("95 % interval", "1.000–1.000", "ROC-AUC", "expected calibration error", "weighted F1"):
        assert name in printed
    card = (result.model / "README.md").read_text()
    assert "1.0000 (1.000–1.000)" in card
    assert "In brackets: 95 % confidence intervals" in card


def softmax_answers(logits: NDArray[np.float64], gold: NDArray[np.int64]) -> Callable[[float], Confidences]:
    """The best class of each row, and how certain it is at a temperature."""
    best = logits.argmax(axis=1)

    def answers(temperature: float) -> Confidences:
        powers = np.exp(logits / temperature)
        return Confidences(powers.max(axis=1) / powers.sum(axis=1), (best == gold).astype(float))

    return answers


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_the_temperature_is_that_of_the_logits_that_were_made_too_certain(factor: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(scale=2, size=(20_000, 5))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = (chances.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    assert best_temperature(softmax_answers(logits * factor, gold)) == pytest.approx(factor, rel=0.03)
    assert best_temperature(softmax_answers(logits, gold)) == 1  # nothing to mend


@pytest.mark.parametrize("answers", [1, 30, 3000])
def test_answers_that_are_all_right_make_no_model_certain_beyond_what_so_many_say(answers: int) -> None:
    """After n right answers of n, the next one is right with a chance of (n + 1) / (n + 2)."""
    logits = np.tile([1.0, 0.0], (answers, 1))
    found = softmax_answers(logits, np.zeros(answers, dtype=np.int64))
    temperature = best_temperature(found)
    certainty = found(temperature).confidences[0]
    assert certainty == pytest.approx((answers + 1) / (answers + 2), rel=1e-3) or temperature == 1
    assert (temperature == 1) == (answers == 1)


def test_spans_are_as_certain_as_they_are_right_though_their_tags_are_uncertain(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Every unit of a span has a chance of 0.88, and so has the span; but half of the spans are one word too long."""
    processor = Processor(tokenizer, TokenClassification(labels=("CITY",)))
    predictor = Predictor(processor, TorchBackend(SameTags(), task=processor.task))
    texts = [f"word {number} and word" for number in range(400)]
    gold = [{"spans": [{"start": 0, "end": len("word") if number % 2 else len(f"word {number}"), "label": "CITY"}]}
            for number in range(400)]  # fmt: skip
    documents = [Document(raw_text=text, gold=one) for text, one in zip(texts, gold, strict=True)]
    temperature = fit_temperature(predictor, documents)
    scaled = evaluate_documents(
        Predictor(with_task(processor, processor.task.with_temperature(temperature)), predictor.backend), documents
    )
    plain = evaluate_documents(predictor, documents)
    assert plain["calibration"]["ece"] > 0.3
    assert scaled["calibration"]["ece"] < 0.01
    assert scaled["f1"] == plain["f1"] == 0.5


def test_thresholds_do_not_hide_answers_from_the_fit(
    token_processor: Processor, saved_model: Path, span_run: RunConfig
) -> None:
    documents = load_documents(span_run.data.train)
    predictor = Predictor.from_pretrained(saved_model)
    assert fit_temperature(with_steps(predictor, ["trim_spans", {"min_score": 0.99}]), documents) == fit_temperature(
        with_steps(predictor, ["trim_spans"]), documents
    )


def test_more_answers_than_are_needed_are_not_asked_for(
    saved_model: Path, span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = load_documents(span_run.data.train)
    predictor = Predictor.from_pretrained(saved_model)
    seen: list[int] = []
    monkeypatch.setattr("nlp_training.evaluation.temperature._DOCUMENTS_AT_ONCE", 4)
    monkeypatch.setattr(
        "nlp_training.evaluation.temperature.best_temperature", lambda answers: seen.append(len(answers(1.0)[0]))
    )
    for limit, value in (("PREDICTIONS", 10**6), ("PREDICTIONS", 8), ("KEPT_BYTES", 1)):
        monkeypatch.setattr(f"nlp_training.evaluation.temperature.{limit}", value)
        fit_temperature(predictor, documents)
    every, few, fewest = seen
    per_document = max(len(one.predicted.spans) for one in predictor.predict(documents))
    assert every > 8 + per_document
    assert 8 <= few <= 8 + per_document
    assert fewest <= per_document


def test_calibration_without_validation_is_refused_before_training(label_run: RunConfig, console: Console) -> None:
    with pytest.raises(
        InvalidSpecError,
        match=r"'temperature' is fitted to validation documents, but there are none; set data\.validation",
    ):
        train(calibrated(label_run), console=console)


def test_a_task_without_a_softmax_is_refused() -> None:
    with pytest.raises(
        InvalidSpecError, match="the scores of the task 'span-classification' are not probabilities of a softmax"
    ):
        choose_fitters(SpanClassification(labels=("CITY",)), calibrate=True, has_validation=True)


def test_without_an_answer_the_temperature_stays(saved_model: Path, tmp_path: Path) -> None:
    empty = load_documents(str(write_jsonl(tmp_path / "empty.jsonl", [{"text": "", "spans": []}])))
    with pytest.warns(FittingWarning, match="predicts nothing for any validation document; the temperature stays 1"):
        assert fit_temperature(Predictor.from_pretrained(saved_model), empty) == 1
