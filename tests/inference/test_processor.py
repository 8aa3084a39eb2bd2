"""The processor: what it takes, the batch it makes, and the errors of what does not fit together."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import ProcessorMixin

from nlp_inference import Compose, Document, Processor, TextClassification, TokenClassification
from nlp_inference.encoding.windows import WindowSettings
from nlp_inference.errors import ArtefactError, InvalidDocumentError, InvalidSpecError
from nlp_inference.transforms import CollapseWhitespace, StripHtml

TASK = TokenClassification(labels=("CITY",))


def test_objects_and_specifications_make_the_same_processor(tokenizer):
    one = Processor(tokenizer, TASK, [StripHtml(), CollapseWhitespace()], windows=WindowSettings(overlap=8))
    other = Processor(
        tokenizer,
        {"token-classification": {"labels": ["CITY"]}},
        ["strip_html", "collapse_whitespace"],
        windows={"overlap": 8},
    )
    assert one.to_dict() == other.to_dict()
    assert one.preprocess == other.preprocess == Compose(["strip_html", "collapse_whitespace"])


def test_it_is_a_processor_of_transformers(token_processor, saved_model):
    assert isinstance(token_processor, ProcessorMixin)
    saved = json.loads((saved_model / "processor_config.json").read_text(encoding="utf-8"))
    assert saved == {
        "processor_class": "Processor",
        "auto_map": {"AutoProcessor": "from_nlp_inference_import_Processor_first.Processor"},
        "format_version": 2,
        "task": {"token-classification": ["PERSON", "CITY"]},
        "preprocess": ["fix_encoding", "strip_html", "collapse_whitespace"],
        "postprocess": ["trim_spans"],
        "windows": {"max_length": 24, "overlap": 6, "on_overflow": "split"},
    }


def test_a_batch_has_a_row_for_each_window_of_each_document(token_processor):
    texts = ["Ana", "word " * 50, ""]
    counts = [len(one.windows) for one in token_processor.encode([Document(raw_text=text) for text in texts])]
    batch = token_processor(texts)
    assert counts == [1, 3, 1]
    assert batch["input_ids"].shape == (5, 24)
    assert batch["attention_mask"].sum(axis=1).tolist() == [3, 24, 24, 20, 2]


def test_a_batch_as_arrays_or_tensors(token_processor):
    arrays, tensors = token_processor(["Ana"]), token_processor(["Ana"], return_tensors="pt")
    assert {type(array) for array in arrays.values()} == {np.ndarray}
    assert {type(tensor) for tensor in tensors.values()} == {torch.Tensor}
    assert all(tensors[name].numpy().tolist() == arrays[name].tolist() for name in arrays)


def test_no_documents_make_an_empty_batch(token_processor):
    assert token_processor([])["input_ids"].shape == (0, 0)


def test_only_the_first_text_of_a_pair_is_cut(tokenizer):
    processor = Processor(tokenizer, TextClassification(labels=("a", "b")), windows={"max_length": 16, "overlap": 2})
    batch = processor([Document(raw_text="word " * 20, raw_text_pair="<who lives")])
    second = tokenizer.convert_tokens_to_ids(["<", "who", "lives"])
    for ids, mask in zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), strict=True):
        assert ids[sum(mask) - 4 : sum(mask) - 1] == second


def test_a_second_text_that_leaves_no_room_is_named(tokenizer):
    processor = Processor(tokenizer, TASK, windows={"max_length": 16, "overlap": 2})
    with pytest.raises(InvalidDocumentError, match="document 'd7': its text pair of 12 tokens leaves 1 of 16"):
        processor.encode([Document(raw_text="a", raw_text_pair="b " * 12, id="d7")])


def test_both_texts_of_a_pair_are_preprocessed(tokenizer):
    processor = Processor(tokenizer, TASK, ["strip_html"])
    (encoded,) = processor.encode([Document(raw_text="<b>a</b>", raw_text_pair="<i>b</i>")])
    assert (encoded.document.text, encoded.document.text_pair) == ("a", "b")
    assert encoded.pair_ids.tolist() == tokenizer.convert_tokens_to_ids(["b"])


def test_truncation_reads_one_window_and_says_so(tokenizer):
    windows = {"max_length": 6, "overlap": 0, "on_overflow": "truncate"}
    (encoded,) = Processor(tokenizer, TASK, windows=windows).encode([Document(raw_text="a b c d e f")])
    coverage = encoded.coverage()
    assert (coverage.windows, coverage.truncated, coverage.complete) == (1, True, False)
    assert coverage.unread == ((7, 11),)


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Ana \x00 lives", ((3, 6),)),
        ("\u200bAna", ((0, 1),)),
        ("Ana lives", ()),
        (" \t\n ", ()),
        ("", ()),
    ],
)
def test_characters_that_no_token_covers_are_named(tokenizer, text, unread):
    (encoded,) = Processor(tokenizer, TASK).encode([Document(raw_text=text)])
    assert encoded.coverage().unread == unread


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"windows": {"max_length": 1000}}, InvalidSpecError, "max_length is 1000, expected at most 512"),
        (
            {"windows": {"max_length": 16, "overlap": 64}},
            InvalidSpecError,
            "room for 14 tokens, but the overlap is 64",
        ),
        ({"format_version": 3}, ArtefactError, "format version 3, but this library reads 1 to 2"),
        ({"format_version": 0}, ArtefactError, "format version 0, but this library reads 1 to 2"),
        ({"preprocess": ["trim_spans"]}, InvalidSpecError, "unknown transform 'trim_spans'"),
        ({"preprocess": "strip_html"}, InvalidSpecError, "list of transforms .* 'strip_html'"),
        ({"postprocess": ["strip_html"]}, InvalidSpecError, "unknown post-transform 'strip_html'"),
        ({"task": "parsing"}, InvalidSpecError, "unknown task 'parsing'"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_made(tokenizer, arguments, error, said):
    with pytest.raises(error, match=said):
        Processor(tokenizer, **{"task": TASK, **arguments})


def test_a_subclass_may_save_arguments_of_its_own(tokenizer, tmp_path):
    class Louder(Processor):
        def __init__(self, tokenizer, task, preprocess=(), postprocess=(), windows=None, format_version=2, volume=11):
            super().__init__(tokenizer, task, preprocess, postprocess, windows, format_version)
            self.volume = volume

        def to_dict(self):
            return {**super().to_dict(), "volume": self.volume}

    Louder(tokenizer, TASK, volume=3).save_pretrained(tmp_path)
    assert Louder.from_pretrained(tmp_path).volume == 3
    with pytest.raises(ArtefactError, match=r"unknown: \['volume'\]"):
        Processor.from_pretrained(tmp_path)


AUTO = """
import sys
from transformers import AutoProcessor, AutoTokenizer
for trusted in (False, True):
    try:
        AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=trusted)
    except (OSError, ValueError) as error:
        print(type(error).__name__, "from_nlp_inference_import_Processor_first" in str(error))
print(type(AutoTokenizer.from_pretrained(sys.argv[1])).__name__)
from nlp_inference import Processor
print(type(AutoProcessor.from_pretrained(sys.argv[1])).__name__)
"""


def test_auto_processor_without_this_library_is_an_error(token_processor, tmp_path):
    """It would give a plain tokenizer; AutoTokenizer still does."""
    token_processor.save_pretrained(tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AUTO, tmp_path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.split("\n")[:-1] == ["ValueError False", "OSError True", "BertTokenizer", "Processor"], (
        done.stderr
    )


def test_a_processor_saved_without_the_entry_for_auto_processor_is_loaded(token_processor, tmp_path):
    token_processor.save_pretrained(tmp_path)
    path = tmp_path / "processor_config.json"
    saved = json.loads(path.read_text())
    assert saved.pop("auto_map") == {"AutoProcessor": "from_nlp_inference_import_Processor_first.Processor"}
    path.write_text(json.dumps(saved))
    assert Processor.from_pretrained(tmp_path).to_dict() == token_processor.to_dict()
