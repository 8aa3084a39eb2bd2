"""What the tests of training share: a base model of a few thousand weights, and documents made up in milliseconds."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up_records import label_records, span_records, write_jsonl, write_splits
from tiny_models import save_tiny_base
from transformers import PreTrainedTokenizerBase

from nlp_training.config import RunConfig


@pytest.fixture(scope="session")
def tiny_base(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a pretrained encoder's, with the real tokenizer and a narrow layer."""
    return save_tiny_base(
        tmp_path_factory.mktemp("base"),
        tokenizer,
        hidden_size=32,
        intermediate_size=64,
        max_position_embeddings=512,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


@pytest.fixture
def fast_trainings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do not wait for the disk, and let accelerate collect garbage among few objects."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def span_run(tiny_base: Path, tmp_path: Path) -> RunConfig:
    """A run on a few sentences with spans, seconds long."""
    return RunConfig.model_validate(
        {
            "name": "spans",
            "output_dir": str(tmp_path / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(tiny_base)},
            "data": write_splits(tmp_path, span_records),
            "processor": {"preprocess": ["strip_html", "collapse_whitespace"], "task": "token-classification"},
            "training": {"num_train_epochs": 4, "learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False},
        }
    )


@pytest.fixture
def label_run(span_run: RunConfig, tmp_path: Path) -> RunConfig:
    """A run on a few sentences with one label each."""
    return RunConfig.model_validate(
        {
            **span_run.model_dump(exclude_none=True),
            "name": "labels",
            "data": {
                "train": str(write_jsonl(tmp_path / "train.jsonl", label_records("train", 48))),
                "test": str(write_jsonl(tmp_path / "test.jsonl", label_records("test", 8))),
            },
            "processor": {"task": "text-classification"},
        }
    )
