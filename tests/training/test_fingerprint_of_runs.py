"""What training leaves in the fingerprint: the artefact has one, a checkpoint has none."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console
from transformers import TrainingArguments

from nlp_inference import Predictor, Processor
from nlp_inference._utils.digests import file_digest
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training import RunConfig, train
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.build import build_model


def settings_in(folder: Path) -> dict[str, object]:
    return json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))


def test_the_artefact_has_the_fingerprint_of_its_weights_and_checkpoints_have_none(span_run: RunConfig) -> None:
    training = {**span_run.training, "num_train_epochs": 1}
    model = train(span_run.model_copy(update={"training": training}), console=Console(file=StringIO())).model
    found = Processor.from_pretrained(model).fingerprint
    assert found.weights == {"model.safetensors": file_digest(model / "model.safetensors")}
    assert set(found.settings) == {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert found.settings == {name: file_digest(model / name) for name in found.settings}
    assert set(found.transforms) == {"strip_html", "collapse_whitespace"}
    (checkpoint,) = (span_run.folder / "checkpoints").glob("checkpoint-*")
    assert "fingerprint" not in settings_in(checkpoint)
    assert settings_in(checkpoint).keys() | {"fingerprint"} == settings_in(model).keys()
    assert Predictor.from_pretrained(checkpoint, device="cpu").processor.fingerprint is None


def test_training_on_from_a_model_drops_the_fingerprint_of_its_old_weights(
    span_run: RunConfig, token_processor: Processor, tmp_path: Path
) -> None:
    loaded = token_processor.with_fingerprint(Fingerprint(weights={"model.safetensors": "0" * 64}, unicode="15.0.0"))
    model = build_model(span_run, loaded)
    args = TrainingArguments(output_dir=str(tmp_path / "on"), use_cpu=True)
    trainer = DocumentTrainer(model, args, processing_class=loaded)
    trainer.save_model()
    assert loaded.fingerprint is not None
    assert trainer.processor is trainer.processing_class
    assert "fingerprint" not in settings_in(tmp_path / "on")
