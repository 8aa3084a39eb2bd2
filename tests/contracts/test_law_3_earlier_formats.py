"""Law 3: artefacts that an earlier version of this library saved load and verify.

`tests/fixtures/format_1` was written by the code of format version 1: one artefact for each task with the word rule of
that version, and one with `words: whitespace`. Their texts hold decomposed accents, Unicode white space, invisible
characters, words without spaces, and several windows. None of them has an unknown token or text that preprocessing
deletes: coverage reports both since then.
"""

import importlib
import sys
from pathlib import Path

import pytest

from nlp_inference import Document, Predictor, Processor
from nlp_inference.golden import read_golden, verify

pytest.importorskip("torch")

FIXTURES = Path(__file__).parents[1] / "fixtures" / "format_1"
FOLDERS = sorted(FIXTURES.parent.glob("format_*/*"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_law_3_artefacts_of_earlier_versions_load_and_verify(folder: Path) -> None:
    predictor = Predictor.from_pretrained(folder)
    verification = verify(predictor, read_golden(folder))
    assert verification.records >= 10
    assert verification.differences == ()


def test_law_3_the_meaning_of_words_goes_with_the_format(tokenizer) -> None:
    text = "José's 東京 5€"
    earlier, explicit, now = (
        Processor(tokenizer, {"token-classification": {"labels": ["CITY"], **more}}, format_version=version)
        for more, version in (({}, 1), ({"words": "tokenizer"}, 2), ({}, 2))
    )
    assert [one.task.words for one in (earlier, explicit, now)] == ["tokenizer", "tokenizer", "unicode"]
    [encoded] = earlier.encode([Document(raw_text=text)])
    assert [text[start] for start in encoded.words.starts.tolist()] == ["J", "'", "s", "東", "京", "5"]
    [encoded] = now.encode([Document(raw_text=text)])
    assert [text[start] for start in encoded.words.starts.tolist()] == ["J", "'", "s", "東", "京", "5", "€"]


@pytest.mark.parametrize("task", ["token-classification", "span-classification"])
def test_law_3_an_earlier_artefact_keeps_its_words_when_it_is_saved_again(task: str, tmp_path: Path) -> None:
    earlier = Processor.from_pretrained(FIXTURES / task)
    assert (earlier.format_version, earlier.task.words) == (1, "tokenizer")
    earlier.save_pretrained(tmp_path)
    again = Processor.from_pretrained(tmp_path)
    assert again.to_dict() == earlier.to_dict()
    assert again.task == earlier.task


def test_law_3_an_earlier_artefact_can_be_read_as_the_present_format() -> None:
    processor = Processor.from_pretrained(FIXTURES / "token-classification", format_version=2)
    assert processor.task.words == "tokenizer"  # what its model learned
    [encoded] = processor.encode([Document(raw_text="Jose\u0301")])
    assert encoded.words.ends.tolist() == [5]
    [encoded] = Processor.from_pretrained(FIXTURES / "token-classification").encode([Document(raw_text="Jose\u0301")])
    assert encoded.words.ends.tolist() == [4]


@pytest.mark.parametrize(
    ("former", "present", "name"),
    [
        ("aligned_text", "document.aligned_text", "Edit"),
        ("layout", "encoding.input_rows", "Row"),
        ("mlflow_model", "integrations.mlflow_model", "_load_pyfunc"),
    ],
)
def test_law_3_modules_that_saved_code_imports_keep_their_former_names(
    former: str, present: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"nlp_inference.{former}", raising=False)
    with pytest.warns(DeprecationWarning, match=f"nlp_inference.{former} is now nlp_inference.{present}"):
        module = importlib.import_module(f"nlp_inference.{former}")
    assert getattr(module, name) is getattr(importlib.import_module(f"nlp_inference.{present}"), name)
