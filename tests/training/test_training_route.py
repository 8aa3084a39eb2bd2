"""config -> data -> collator -> trainer -> artefact -> reload, on tiny data."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_up_records import span_records, write_jsonl
from packaging.requirements import Requirement
from rich.console import Console

from nlp_inference import Annotation, Document, Predictor, Processor
from nlp_training import RunConfig, load_config, load_documents, train
from nlp_training.data import documents_sha256
from nlp_training.data_report.check import check_data
from nlp_training.evaluation import evaluate_documents, predict_beside_gold

PREDICT = """
import sys
from nlp_inference import Predictor
from nlp_training import load_documents
documents = [document.unannotated() for document in load_documents(sys.argv[2])]
for document in Predictor.from_pretrained(sys.argv[1]).predict(documents):
    print(document.predicted.model_dump_json())
"""


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=100)


def test_a_run_learns_spans_and_leaves_everything_in_one_folder(span_run: RunConfig, console: Console) -> None:
    result = train(span_run, console=console)
    assert result.metrics["test"]["f1"] > 0.9
    assert result.metrics["validation"]["f1"] > 0.9
    assert {path.name for path in result.model.iterdir()} >= {
        "config.json",
        "data_report.json",
        "metrics.json",
        "model.safetensors",
        "processor_config.json",
        "README.md",
        "requirements.txt",
        "tokenizer.json",
        "training.yaml",
    }
    lines = (result.model / "requirements.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    assert {one.name for one in pinned} >= {"numpy", "onnxruntime", "tokenizers", "torch", "transformers"}
    assert all(one.specifier.contains(version(one.name)) and "==" in str(one) for one in pinned)
    assert json.loads((result.model / "metrics.json").read_text()) == result.metrics
    assert "pipeline_tag: token-classification" in (result.model / "README.md").read_text()
    assert [path.name for path in (span_run.folder).iterdir() if path.name.startswith(".")] == []


def test_a_run_learns_labels(label_run: RunConfig, console: Console) -> None:
    result = train(label_run, console=console)
    assert result.metrics["test"]["accuracy"] == 1.0
    [document] = Predictor.from_pretrained(result.model).predict(["Hello there Ana"])
    assert document.predicted.categories[0].label == "greeting"


def test_spans_come_back_on_the_raw_text(span_run: RunConfig, console: Console) -> None:
    model = train(span_run, console=console).model
    [document] = Predictor.from_pretrained(model).predict(["<b>Ana</b> lives&nbsp;in Rome"])
    found = {(span.start, span.end, span.label) for span in document.predicted.spans}
    assert found == {(3, 6, "PERSON"), (25, 29, "CITY")}


@pytest.mark.parametrize("bf16", [pytest.param(True, marks=pytest.mark.slow), False])
def test_the_evaluation_equals_a_fresh_process_span_for_span_and_score_for_score(
    span_run: RunConfig, bf16: bool, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    """What the trainer's own evaluation compares with the gold is what production will serve."""
    scored: list[str] = []

    def remember(predictor: Predictor, documents: list[Document]) -> Iterator[tuple[Document, Annotation]]:
        for document, gold in predict_beside_gold(predictor, documents):
            scored.append(document.predicted.model_dump_json())
            yield document, gold

    monkeypatch.setattr("nlp_training.trainer.trainer.predict_beside_gold", remember)
    run = span_run.model_copy(update={"training": {**span_run.training, "bf16": bf16, "num_train_epochs": 2}})
    result = train(run, console=console)
    test_file = run.data.test["test"].path
    command = [sys.executable, "-c", PREDICT, str(result.model), test_file]
    fresh = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert scored[-len(fresh) :] == fresh
    assert any('"score":0.' in line for line in fresh)
    scores = evaluate_documents(Predictor.from_pretrained(result.model), load_documents(test_file))
    assert scores == result.metrics["test"]


def test_the_resolved_configuration_trains_the_same_weights(
    span_run: RunConfig, tmp_path: Path, console: Console
) -> None:
    run = span_run.model_copy(update={"training": {**span_run.training, "num_train_epochs": 1}})
    first = train(run, console=console).model
    resolved = load_config(first / "training.yaml", [f"output_dir={tmp_path / 'again'}"])
    assert resolved.processor.task["token-classification"]["labels"] == ["CITY", "PERSON"]
    assert resolved.training["train_sampling_strategy"] == "group_by_length"
    assert resolved.training["bf16"] is False
    second = train(resolved, console=console).model
    assert (second / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()
    assert load_config(second / "training.yaml") == resolved


def test_a_run_goes_on_from_its_checkpoint_and_otherwise_begins_anew(span_run: RunConfig, console: Console) -> None:
    def evaluations_and_checkpoints(epochs: int, **training: Any) -> tuple[list[float], list[str]]:
        values = {**span_run.training, "num_train_epochs": epochs, "save_total_limit": 9, **training}
        config = span_run.model_copy(update={"training": values})
        model = train(config, console=console, overwrite="resume_from_checkpoint" not in training).model
        log = json.loads((model / "training_log.json").read_text())
        checkpoints = sorted(path.name for path in (span_run.folder / "checkpoints").iterdir())
        assert "resume_from_checkpoint" not in load_config(model / "training.yaml").training
        return [entry["eval_runtime"] for entry in log if "eval_runtime" in entry], checkpoints

    short, checkpoints = evaluations_and_checkpoints(1)
    assert (len(short), checkpoints) == (1, ["checkpoint-6"])
    longer, checkpoints = evaluations_and_checkpoints(2, resume_from_checkpoint=True)
    assert (longer[0], len(longer), checkpoints) == (short[0], 2, ["checkpoint-12", "checkpoint-6"])
    anew, checkpoints = evaluations_and_checkpoints(1)
    assert (len(anew), checkpoints) == (1, ["checkpoint-6"])
    assert anew[0] != short[0]


def test_lost_spans_are_counted_and_named(span_run: RunConfig, tmp_path: Path) -> None:
    records = span_records("lost", 8)
    records[2]["spans"][0]["end"] -= 1
    source = write_jsonl(tmp_path / "lost.jsonl", records)
    content = span_run.model_dump(exclude_none=True)
    content["data"] = {"train": str(source), "test": str(source)}
    content["training"]["num_train_epochs"] = 1
    output = StringIO()
    model = train(RunConfig.model_validate(content), console=Console(file=output, width=200)).model
    told = "1 of 16 gold annotations cannot be predicted exactly (its edge lies inside a word 1)"
    assert output.getvalue().index(f"train: {told}") < output.getvalue().index(f"test: {told}")
    assert "document 'lost-2': PERSON 'Carl': its edge lies inside a word" in output.getvalue()
    report = json.loads((model / "data_report.json").read_text())
    assert (
        report["train"]
        == report["test"]
        == {
            "sha256": documents_sha256(load_documents(source)),
            "documents": 8,
            "characters": sum(len(record["text"]) for record in records),
            "tokens": 33,
            "windows": 8,
            "annotations": 16,
            "labels": {"PERSON": 8, "CITY": 8},
            "ceiling": report["train"]["ceiling"],
            "lost": 1,
            "lost_by_cause": {"its edge lies inside a word": 1},
            "lost_by_label": {"PERSON": 1},
            "changed_documents": 8,
            "changed_by_transform": {"strip_html": 8, "collapse_whitespace": 8},
            "unknown_tokens": 0,
        }
    )
    assert report["train"]["ceiling"]["f1"] == 15 / 16
    assert "1 of 16 gold annotations of `train` cannot be predicted exactly" in (model / "README.md").read_text()


def test_the_report_of_a_run_has_the_numbers_of_check_data_and_nothing_of_the_texts(
    label_run: RunConfig, console: Console
) -> None:
    run = label_run.model_copy(update={"training": {**label_run.training, "num_train_epochs": 1}})
    text = (train(run, console=console).model / "data_report.json").read_text()
    checked = check_data(run).to_json()["splits"]
    places = {"lost_gold", "unknown_surfaces"}
    assert json.loads(text) == {
        name: {key: value for key, value in split.items() if key not in places} for name, split in checked.items()
    }
    assert json.loads(text)["train"]["labels"] == {"greeting": 24, "farewell": 24}
    assert not any(word in text for word in ("Hello", "Goodbye", "train-0", "train.jsonl"))


def test_stock_transformers_loads_what_was_saved(span_run: RunConfig, console: Console) -> None:
    from transformers import AutoModelForTokenClassification, AutoProcessor, pipeline

    model = train(span_run, console=console).model
    assert AutoModelForTokenClassification.from_pretrained(model).config.id2label[1] == "B-CITY"
    assert isinstance(AutoProcessor.from_pretrained(model), Processor)
    entities = pipeline("token-classification", model=str(model), aggregation_strategy="first")("Ana lives in Rome")
    assert {(entity["entity_group"], entity["start"], entity["end"]) for entity in entities} == {
        ("PERSON", 0, 3),
        ("CITY", 13, 17),
    }


def test_the_best_weights_are_kept(span_run: RunConfig, console: Console) -> None:
    """A learning rate that explodes after the first epochs must not decide what is saved."""
    result = train(span_run, console=console)
    assert (span_run.folder / "checkpoints").is_dir()
    best = max(
        entry["eval_f1"]
        for checkpoint in (span_run.folder / "checkpoints").glob("checkpoint-*/trainer_state.json")
        for entry in json.loads(checkpoint.read_text())["log_history"]
        if "eval_f1" in entry
    )
    assert result.metrics["validation"]["f1"] == best


def test_a_terminal_shows_tables_and_no_wall_of_log(span_run: RunConfig) -> None:
    output = StringIO()
    train(span_run, console=Console(file=output, width=100))
    lines = output.getvalue().splitlines()
    assert len(lines) < 60
    assert any("PERSON" in line for line in lines)
    assert any("scores" in line for line in lines)


def test_an_interrupted_save_leaves_the_previous_artefact_whole(
    span_run: RunConfig, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(span_run, console=console).model
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    monkeypatch.setattr(Processor, "save_pretrained", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(
            span_run.model_copy(
                update={"training": {**span_run.training, "save_strategy": "no", "load_best_model_at_end": False}}
            ),
            console=console,
            overwrite=True,
        )
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert [path.name for path in model.parent.iterdir() if path.name.startswith(".")] == []


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
