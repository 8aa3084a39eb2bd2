"""Text pairs in training: long texts on both sides, both orders, and one prediction on every backend."""

from io import StringIO

import pytest
from made_up_records import NAMES, write_splits
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Document, Predictor
from nlp_inference.cli import app as inference
from nlp_training import RunConfig, load_config, train
from nlp_training.cli import app as training
from nlp_training.data.errors import BlankLabelError
from nlp_training.data.records import record_to_document

FILLER = " ".join(NAMES)


def pair_records(prefix, size):
    """Pairs of which one text is long; the label says whether `good` is in one of them."""
    records = []
    for index in range(size):
        word = ("good", "bad")[index % 2]
        texts = f"{word} {NAMES[index % 6]}", f"{FILLER} {NAMES[index % 5]}"
        text_a, text_b = texts if index % 4 < 2 else texts[::-1]
        records.append({"id": f"{prefix}-{index}", "text_a": text_a, "text_b": text_b, "label": word})
    return records


@pytest.fixture(scope="module")
def result(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    config = RunConfig.model_validate(
        {
            "name": "pairs",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(tiny_base)},
            "data": write_splits(folder, pair_records),
            "processor": {
                "task": {"text-classification": {"symmetric": True}},
                "windows": {"max_length": 12, "overlap": 1, "pair_split": "both"},
            },
            "training": {
                "num_train_epochs": 4,
                "learning_rate": 0.02,
                "per_device_train_batch_size": 8,
                "bf16": False,
            },
        }
    )
    found = train(config, console=Console(file=StringIO()))
    exported = CliRunner().invoke(training, ["export", str(found.model)])
    assert exported.exit_code == 0, exported.output
    return found


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_pairs_go_the_whole_route(result, backend):
    assert result.metrics["test"]["accuracy"] == 1.0
    verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
    assert verified.exit_code == 0, verified.output
    texts = "good Ana", f"{FILLER} Bo"
    pairs = [Document(raw_text=one, raw_text_pair=other) for one, other in (texts, texts[::-1])]
    first, second = Predictor.from_pretrained(result.model, backend=backend).predict(pairs)
    assert first.predicted.categories[0].label == "good"
    assert first.predicted.categories[0].score == pytest.approx(second.predicted.categories[0].score, abs=1e-5)
    assert (first.coverage.windows, first.coverage.complete) == (4, True)  # two windows in both orders


def test_the_configs_of_pairs_are_valid():
    assert load_config("configs/entailment.yaml").processor.windows.pair_split == "text"
    assert load_config("configs/similarity.yaml").processor.task == {"text-regression": {"symmetric": False}}


def test_a_negative_label_is_blank():
    columns = {"text": "text", "label": "label"}
    arguments = {"columns": columns, "read_from": "a:1", "names": {"label": ["no", "yes"]}, "skip_blank": True}
    assert record_to_document({"text": "a", "label": 0}, **arguments).gold.categories[0].label == "no"
    with pytest.raises(BlankLabelError):
        record_to_document({"text": "a", "label": -1}, **arguments)
