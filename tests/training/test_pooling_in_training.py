"""`model.pooling` in a run: trained, verified, exported, and refused where nothing would read it."""

from io import StringIO

import pytest
from made_up_records import label_records, span_records, write_jsonl
from pydantic import ValidationError
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference.architectures import AutoModelForPooledSequenceClassification
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, train
from nlp_training.cli import app as training


def run_of(folder, base, *, model, records=label_records, **more):
    fields = {
        "name": "pooled",
        "output_dir": str(folder / "runs"),
        "cpu_threads": 1,
        "model": {"base": str(base), **model},
        "data": {
            split: str(write_jsonl(folder / f"{split}.jsonl", records(split, 12)))
            for split in ("train", "validation", "test")
        },
        "processor": {"task": "text-classification"},
        "training": {"bf16": False, "learning_rate": 1e-2, "num_train_epochs": 3, "save_strategy": "no"},
        **more,
    }
    return RunConfig.model_validate(fields)


def test_learned_weights_are_trained_saved_verified_and_exported(tiny_base, tmp_path):
    config = run_of(tmp_path, tiny_base, model={"pooling": "attention"})
    result = train(config, console=Console(file=StringIO()))
    model = AutoModelForPooledSequenceClassification.from_pretrained(result.model)
    assert (type(model).__name__, model.config.text_pooling) == ("BertForPooledSequenceClassification", "attention")
    assert model.pooling.score.weight.abs().max() > 0
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output


def test_a_pooling_that_nothing_would_read_is_refused(tiny_base, tmp_path):
    with pytest.raises(ValidationError, match=r"few_shot does not read model\.pooling"):
        run_of(tmp_path, tiny_base, model={"pooling": "max"}, few_shot={})
    with pytest.raises(ValidationError, match="remove pooling or architecture"):
        run_of(tmp_path, tiny_base, model={"pooling": "max", "architecture": "BertForPooledSequenceClassification"})
    config = run_of(
        tmp_path,
        tiny_base,
        model={"pooling": "max"},
        records=span_records,
        processor={"task": "token-classification"},
    )
    with pytest.raises(InvalidSpecError, match=r"model\.pooling is set, .* 'token-classification' has no head"):
        train(config, console=Console(file=StringIO()))
