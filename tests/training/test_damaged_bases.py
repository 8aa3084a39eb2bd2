"""Base models that were made for another task, and those with damaged files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from stock_models import edit_config, save_stock

from nlp_inference import Annotation, Category, Document
from nlp_inference.errors import ArtefactError
from nlp_training import RunConfig
from nlp_training.trainer.base_files import BaseModelWarning
from nlp_training.trainer.build import build_model, build_processor
from nlp_training.trainer.machine import divide_step

LABELS = ("a", "b")
DOCUMENTS = [Document(raw_text=one, gold=Annotation(categories=(Category(label=one),))) for one in LABELS]


def config_of(base: Path, **model: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "name": "r",
            "model": {"base": str(base), **model},
            "data": {"train": "a.jsonl"},
            "processor": {"task": "text-classification"},
        }
    )


def build(base: Path) -> torch.nn.Module:
    config = config_of(base)
    return build_model(config, build_processor(config, DOCUMENTS), DOCUMENTS)


def test_a_model_for_other_labels_gets_a_new_head(tmp_path: Path) -> None:
    """Its token classifier has five outputs, and the task has two labels."""
    base = save_stock(tmp_path / "base")
    with pytest.warns(
        BaseModelWarning, match=r"head of another task or of other labels.*classifier\.bias \[5\], not \[2\]"
    ):
        model = build(base)
    stored, weights = load_file(base / "model.safetensors"), model.state_dict()
    assert weights["classifier.weight"].shape == (2, 16)
    assert torch.isfinite(weights["classifier.weight"]).all()
    assert weights["classifier.bias"].tolist() == pytest.approx([0.0, 0.0])
    encoder = [name for name in stored if name.startswith("bert.") and name in weights]
    assert encoder
    assert all(torch.equal(stored[name], weights[name]) for name in encoder)


def entry(**changes: object) -> Callable[[Path], object]:
    return lambda base: edit_config(base, changes)


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda base: (base / name).write_text(text)


def remove_tokenizer(base: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base / name).unlink()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no tokenizer": (remove_tokenizer, "has no tokenizer; save that of the model"),
    "tokenizer of another kind": (write("tokenizer.json", "{}"), "cannot be used: KeyError"),
    "tokenizer not JSON": (write("tokenizer.json", "<html>"), "cannot be used: JSONDecodeError"),
    "a pointer": (write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\n"), "only a Git LFS pointer"),
    "tokenizer settings": (write("tokenizer_config.json", "[]"), "cannot be used: AttributeError"),
    "configuration": (write("config.json", "[]"), "cannot be read"),
    "empty configuration": (write("config.json", ""), "is empty"),
    "size": (entry(hidden_size="big"), "cannot be used: Strict"),
    "heads": (entry(num_attention_heads=3), "not a multiple of the number of attention heads"),
    "activation": (entry(hidden_act="nope"), "cannot be used: KeyError: 'nope'"),
    "dropout": (entry(hidden_dropout_prob=2.0), "dropout probability"),
    "vocabulary": (entry(vocab_size=9999), r"do not fit its config\.json: bert\.embeddings\.word_embeddings"),
    "weights": (write("model.safetensors", "<html>404</html>"), "cannot be used: SafetensorError"),
    "unknown kind of model": (entry(model_type="nope"), "cannot be used: ValueError: The checkpoint you are trying"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_base_is_named(damage: str, tmp_path: Path) -> None:
    change, message = DAMAGES[damage]
    base = save_stock(tmp_path / "base", names=LABELS)
    change(base)
    with pytest.raises(ArtefactError, match=message) as caught:
        build(base)
    assert str(base) in str(caught.value)


def test_a_base_whose_kind_is_unknown_is_named_when_batches_are_split(tmp_path: Path) -> None:
    base = save_stock(tmp_path / "base")
    (base / "config.json").write_text(json.dumps({"architectures": ["X"]}))
    training = {"per_device_train_batch_size": 8}
    with pytest.raises(ArtefactError, match="Should have a `model_type` key"):
        divide_step(training, config_of(base).model, max_length=64, on_cpu=True)
