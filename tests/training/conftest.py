"""What the tests of training share: a base model of a few thousand weights, and documents made up in milliseconds."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from nlp_training.config import RunConfig

NAMES = ("Ana", "Bo", "Carla", "Dov", "Eva", "Finn")
CITIES = ("Rome", "Oslo", "Lima", "Cairo")


@pytest.fixture(scope="session")
def tiny_base(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a pretrained encoder's, with the real tokenizer and a narrow layer."""
    folder = tmp_path_factory.mktemp("base")
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_jsonl(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def span_records(prefix: str, size: int) -> list[dict[str, object]]:
    """Sentences such as `<b>Ana</b> lives in Rome`, with the spans of the name and of the city."""
    records: list[dict[str, object]] = []
    for index in range(size):
        name, city = NAMES[index % len(NAMES)], CITIES[index % len(CITIES)]
        text = f"<b>{name}</b> lives&nbsp;in {city}"
        spans = [
            {"start": 3, "end": 3 + len(name), "label": "PERSON"},
            {"start": len(text) - len(city), "end": len(text), "label": "CITY"},
        ]
        records.append({"id": f"{prefix}-{index}", "text": text, "spans": spans})
    return records


def label_records(prefix: str, size: int) -> list[dict[str, object]]:
    texts = {"greeting": "Hello there", "farewell": "Goodbye now"}
    labels = list(texts)
    return [
        {
            "id": f"{prefix}-{index}",
            "text": f"{texts[labels[index % 2]]} {NAMES[index % 6]}",
            "label": labels[index % 2],
        }
        for index in range(size)
    ]


@pytest.fixture
def span_run(tiny_base: Path, tmp_path: Path) -> RunConfig:
    """A run on a few sentences with spans, seconds long."""
    return RunConfig.model_validate(
        {
            "name": "spans",
            "output_dir": str(tmp_path / "runs"),
            "model": {"base": str(tiny_base)},
            "data": {
                "train": str(write_jsonl(tmp_path / "train.jsonl", span_records("train", 48))),
                "validation": str(write_jsonl(tmp_path / "validation.jsonl", span_records("validation", 12))),
                "test": str(write_jsonl(tmp_path / "test.jsonl", span_records("test", 8))),
            },
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
