"""config -> data -> collator -> trainer -> artefact -> reload, on tiny data."""

import json
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from nlp_inference import Predictor, Processor
from nlp_training import RunConfig, load_config, load_documents, train
from nlp_training.evaluation import evaluate_documents

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
        "metrics.json",
        "model.safetensors",
        "processor_config.json",
        "README.md",
        "tokenizer.json",
        "training.yaml",
    }
    assert json.loads((result.model / "metrics.json").read_text()) == result.metrics
    assert load_config(result.model / "training.yaml") == span_run
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
    assert found == {(3, 6, "PERSON"), (24, 28, "CITY")}


def test_evaluation_equals_a_fresh_process_span_for_span_and_score_for_score(
    span_run: RunConfig, console: Console
) -> None:
    result = train(span_run, console=console)
    test_file = span_run.data.test["test"].path
    documents = load_documents(test_file)
    here = Predictor.from_pretrained(result.model).predict([document.unannotated() for document in documents])
    command = [sys.executable, "-c", PREDICT, str(result.model), test_file]
    fresh = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [document.predicted.model_dump_json() for document in here] == fresh
    scores = evaluate_documents(Predictor.from_pretrained(result.model), documents)
    assert scores == result.metrics["test"]


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
        )
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert [path.name for path in model.parent.iterdir() if path.name.startswith(".")] == []


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
