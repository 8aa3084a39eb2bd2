"""The tokenizer that transformers builds, beside the `tokenizer.json` that it builds it from."""

import json
import shutil
import warnings
from pathlib import Path

import pytest
from fuzz_artefacts import tokenizers
from transformers import AutoTokenizer

from nlp_inference import Processor
from nlp_inference.encoding.tokenizer_file import TokenizerWarning, differing_parts, warn_of_rebuilt_tokenizer

TASK = {"text-classification": {"labels": ["ham", "spam"]}}


@pytest.mark.parametrize("name", ["bpe", "unigram", "bert"])
def test_a_tokenizer_that_is_saved_and_loaded_is_that_of_its_file(tmp_path: Path, name: str) -> None:
    Processor(tokenizers()[name], TASK).save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = Processor.from_pretrained(tmp_path)
    assert differing_parts(loaded.tokenizer, tmp_path / "tokenizer.json") == []


def rebuilt(folder: Path) -> Path:
    """A byte-level tokenizer beside a configuration for which transformers takes another class, as people copy them."""
    Processor(tokenizers()["bpe"], TASK).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2"}), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "Qwen2Tokenizer"}
    path.write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_a_tokenizer_that_transformers_builds_otherwise_is_named_with_its_parts(tmp_path: Path) -> None:
    folder = rebuilt(tmp_path)
    parts = differing_parts(AutoTokenizer.from_pretrained(folder), folder / "tokenizer.json")
    assert {"normalizer", "pre_tokenizer"} <= set(parts)
    with pytest.warns(TokenizerWarning, match=r"builds a Qwen2Tokenizer\w*, which differs in normalizer, pre"):
        Processor.from_pretrained(folder)


CHANGES = {
    "normalizer": lambda content: content.update(normalizer={"type": "Lowercase"}),
    "pre_tokenizer": lambda content: content.update(pre_tokenizer={"type": "Whitespace"}),
    "model": lambda content: content["model"]["vocab"].pop(next(reversed(content["model"]["vocab"]))),
    "post_processor": lambda content: content.update(post_processor=None),
}


@pytest.mark.parametrize("part", CHANGES)
def test_each_part_is_compared(saved_model: Path, tmp_path: Path, tokenizer, part: str) -> None:
    folder = Path(shutil.copytree(saved_model, tmp_path / "model"))
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    CHANGES[part](content)
    path.write_text(json.dumps(content), encoding="utf-8")
    assert differing_parts(tokenizer, path) == [part]
    with pytest.warns(TokenizerWarning, match=rf"differs from its tokenizer.json: .* differs in {part}, so"):
        warn_of_rebuilt_tokenizer(tokenizer, path, source="model")
