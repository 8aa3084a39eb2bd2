"""Every task learns, is saved, verified, exported and served."""

import json
from io import StringIO
from typing import Any

import pytest
from made_up_records import NAMES, label_set_records, span_records, write_splits
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Document, Predictor
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, train
from nlp_training.cli import app as training

TRAINING = {"num_train_epochs": 6, "learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False}


def nested_records(prefix: str, size: int) -> list[dict[str, Any]]:
    """The records of `span_records`, with a span around the name, the verb and the city."""
    records: list[dict[str, Any]] = span_records(prefix, size)
    for record in records:
        record["spans"] = [*record["spans"], {"start": 3, "end": len(record["text"]), "label": "FACT"}]
    return records


def rated_records(prefix: str, size: int) -> list[dict[str, Any]]:
    """Pairs such as `good` and `Ana`, with a rating that the first word decides; every fourth one is not rated."""
    ratings = {"good": 40.0, "fair": 30.0, "bad": 20.0}
    words = list(ratings)
    return [
        {
            "id": f"{prefix}-{index}",
            "text_a": f"<b>{words[index % 3]}</b>",
            "text_b": NAMES[index % 6],
            "rating": None if index % 4 == 3 else ratings[words[index % 3]],
            "length": float(len(words[index % 3])),
        }
        for index in range(size)
    ]


def run_of(folder: Any, base: Any, task: str, records: Any, **more: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "name": task,
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": write_splits(folder, records),
            "processor": {"preprocess": ["strip_html"], "task": task},
            "training": TRAINING,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("task", "records", "spans"),
    [
        pytest.param(
            "crf-token-classification", span_records, [("Dov", "PERSON"), ("Rome", "CITY")], marks=pytest.mark.slow
        ),
        pytest.param(
            "span-classification",
            nested_records,
            [("Dov", "PERSON"), ("Dov</b> lives&nbsp;in Rome", "FACT"), ("Rome", "CITY")],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_task_goes_the_whole_route(tmp_path, tiny_base, task, records, spans):
    result = train(run_of(tmp_path, tiny_base, task, records), console=Console(file=StringIO()))
    assert result.metrics["test"]["f1"] > 0.9
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
        [document] = Predictor.from_pretrained(result.model, backend=backend).predict(["<b>Dov</b> lives&nbsp;in Rome"])
        assert [(document.surface(span), span.label) for span in document.predicted.spans] == spans


def test_label_sets_go_the_whole_route(tmp_path, tiny_base):
    run = run_of(
        tmp_path,
        tiny_base,
        "multi-label-classification",
        label_set_records,
        loss={"binary_cross_entropy": {"class_weights": "inverse_frequency"}},
        calibrate=True,
    )
    result = train(run, console=Console(file=StringIO()))
    assert result.metrics["test"]["f1"] > 0.9
    assert result.metrics["validation"]["fitted"] == ["temperature", "threshold", "thresholds"]
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
        predictor = Predictor.from_pretrained(result.model, backend=backend)
        documents = predictor.predict(["It is cold in Rome", "It is warm in Rome", "It is hot in Rome"])
        found = [{category.label for category in document.predicted.categories} for document in documents]
        assert found == [set(), {"warm"}, {"warm", "hot"}]
        assert [one["label"] for one in predictor.as_pipeline()("It is warm in Rome")] == ["warm"]


def test_numbers_go_the_whole_route(tmp_path, tiny_base):
    columns = {"values": ["rating", "length"]}
    splits = write_splits(tmp_path, rated_records)
    data = {name: {"path": path, "columns": columns} for name, path in splits.items()}
    settings = {**TRAINING, "num_train_epochs": 12}
    run = run_of(tmp_path, tiny_base, "text-regression", rated_records, data=data, training=settings)
    result = train(run, console=Console(file=StringIO()))
    scores = result.metrics["test"]
    assert scores["mae"] < 1
    assert scores["per_value"]["rating"]["support"] == 6
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
        predictor = Predictor.from_pretrained(result.model, backend=backend)
        [document] = predictor.predict([Document(raw_text="<b>good</b>", raw_text_pair="Dov")])
        assert document.predicted.values["rating"] == pytest.approx(40, abs=4)
        assert document.predicted.values["length"] == pytest.approx(4, abs=0.4)
    reported = CliRunner().invoke(training, ["report", str(run.folder)])
    assert reported.exit_code == 0, reported.output
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "predictions of rating by gold" in page
    assert "too high" in page
    log = json.loads((result.model / "training_log.json").read_text(encoding="utf-8"))
    errors = [entry["eval_mae"] for entry in log if "eval_mae" in entry]
    assert result.metrics["validation"]["mae"] == pytest.approx(min(errors), abs=1e-6)  # the best weights are kept


@pytest.mark.parametrize("task", ["crf-token-classification", "span-classification"])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"loss": "cross_entropy"}, "loss is given, but a model of the task '{}' learns by its own alone"),
        ({"training": {"label_smoothing_factor": 0.1}}, "label_smoothing_factor is 0.1, but a model of the task '{}'"),
    ],
)
def test_a_loss_other_than_the_model_s_is_refused(tmp_path, tiny_base, task, settings, said):
    run = run_of(tmp_path, tiny_base, task, span_records, **settings)
    with pytest.raises(InvalidSpecError, match=said.format(task)):
        train(run, console=Console(file=StringIO()))


def test_a_class_of_a_file_is_refused_where_its_source_could_not_travel(tmp_path, tiny_base):
    (tmp_path / "my_crf.py").write_text(
        "from transformers import BertPreTrainedModel\n"
        "from nlp_inference.architectures import architecture\n\n\n"
        "@architecture\nclass MyCrf(BertPreTrainedModel):\n    pass\n"
    )
    run = run_of(
        tmp_path,
        tiny_base,
        "crf-token-classification",
        span_records,
        model={"base": str(tiny_base), "architecture": "MyCrf"},
        modules=[str(tmp_path / "my_crf.py")],
    )
    with pytest.raises(InvalidSpecError, match="'MyCrf' is from a file, whose source would have to travel"):
        train(run, console=Console(file=StringIO()))
