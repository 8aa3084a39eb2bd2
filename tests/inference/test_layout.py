"""Input rows: special tokens around one text or two, padding, and targets at the place of what they are for."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from nlp_inference import Document, Processor, TextClassification, TokenClassification
from nlp_inference.encoding.input_rows import IGNORED, InputLayout, pad_targets
from nlp_inference.errors import InvalidSpecError

CLS, SEP = 101, 102
PAD, UNK = {"pad_token": "<pad>"}, {"unk_token": "<pad>"}
A, B = np.array([7, 8, 9]), np.array([5, 6])


def layout_of(tokenizer, pair_position="second", max_length=16):
    return InputLayout(tokenizer, max_length=max_length, pair_position=pair_position)


def small_tokenizer(**settings):
    backend = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}, **UNK))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=names, **settings)


@pytest.mark.parametrize(
    ("pair_position", "pair", "ids", "types", "content"),
    [
        ("second", None, [CLS, 7, 8, 9, SEP], [0, 0, 0, 0, 0], (1, 4)),
        ("first", None, [CLS, 7, 8, 9, SEP], [0, 0, 0, 0, 0], (1, 4)),
        ("second", B, [CLS, 7, 8, 9, SEP, 5, 6, SEP], [0, 0, 0, 0, 0, 1, 1, 1], (1, 4)),
        ("first", B, [CLS, 5, 6, SEP, 7, 8, 9, SEP], [0, 0, 0, 0, 1, 1, 1, 1], (4, 7)),
    ],
)
def test_exact_rows_of_bert(tokenizer, pair_position, pair, ids, types, content):
    row = layout_of(tokenizer, pair_position).row(A, pair)
    assert row.input_ids.tolist() == ids
    assert row.token_type_ids.tolist() == types
    assert (row.content.start, row.content.stop) == content
    assert row.input_ids[row.content].tolist() == A.tolist()


@pytest.mark.parametrize(("position", "content"), [("second", (1, 4)), ("first", (5, 8))])
def test_exact_rows_of_a_family_with_two_separators(position, content):
    layout = layout_of(small_tokenizer(**PAD, model_max_length=64), position)
    row = layout.row(A, B)
    first, second = (A, B) if position == "second" else (B, A)
    assert row.input_ids.tolist() == [1, *first, 2, 2, *second, 2]
    assert (row.content.start, row.content.stop) == content
    assert list(layout.pad([row])) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize("text", ["a b", "a", ""])
@pytest.mark.parametrize("pair", [None, "b a b"])
def test_a_row_is_what_the_tokenizer_itself_would_build(tokenizer, text, pair):
    expected = tokenizer(text, pair, padding=False, truncation=False)
    task = TextClassification(labels=("x", "y"))
    batch = Processor(tokenizer, task)([Document(raw_text=text, raw_text_pair=pair)])
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        assert batch[name].tolist() == [expected[name]]


def test_padding_and_truncation_left_in_a_tokenizer_are_no_part_of_a_row():
    tokenizer = small_tokenizer(**PAD, model_max_length=64)
    tokenizer.backend_tokenizer.enable_padding(length=32, pad_id=0, **PAD)
    tokenizer.backend_tokenizer.enable_truncation(max_length=2)
    layout = layout_of(tokenizer)
    assert layout.row(A, None).input_ids.tolist() == [1, 7, 8, 9, 2]
    assert (layout.capacity(None), layout.capacity(2)) == (14, 10)


def test_capacity_is_what_special_tokens_and_the_second_text_leave(tokenizer):
    layout = layout_of(tokenizer)
    assert [layout.capacity(length) for length in (None, 0, 4, 20)] == [14, 13, 9, -7]


def test_rows_are_padded_on_the_right(tokenizer):
    layout = layout_of(tokenizer)
    batch = layout.pad([layout.row(A, None), layout.row(A[:1], B)])
    assert batch["input_ids"].tolist() == [[CLS, 7, 8, 9, SEP, 0], [CLS, 7, SEP, 5, 6, SEP]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]]
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int64)}
    assert {name: array.shape for name, array in layout.pad([]).items()} == dict.fromkeys(batch, (0, 0))


def test_targets_of_different_lengths_are_padded_with_what_losses_skip():
    stacked = pad_targets([{"labels": np.array([1, 2])}, {"labels": np.array([3])}])
    assert stacked["labels"].tolist() == [[1, 2], [3, IGNORED]]
    assert pad_targets([{"labels": np.array(4)}, {"labels": np.array(5)}])["labels"].tolist() == [4, 5]
    squares = pad_targets([{"links": np.ones((2, 2), int)}, {"links": np.zeros((1, 1), int)}])["links"]
    assert squares.tolist() == [[[1, 1], [1, 1]], [[0, IGNORED], [IGNORED, IGNORED]]]
    numbers = pad_targets([{"labels": np.float32([1, -100])}, {"labels": np.float32([3])}])["labels"]
    assert str(numbers.tolist()) == "[[1.0, -100.0], [3.0, nan]]"
    assert pad_targets([]) == {}


@pytest.mark.parametrize("pair", [None, "who lives"])
@pytest.mark.parametrize("position", ["first", "second"])
def test_labels_stand_at_the_tokens_that_they_are_for(tokenizer, pair, position):
    class Question(TokenClassification):
        pair_position = position

    processor = Processor(tokenizer, Question(labels=("CITY",)))
    gold = {"spans": [{"start": 13, "end": 17, "label": "CITY"}]}
    batch = processor([Document(raw_text="Ana lives in Rome", raw_text_pair=pair, gold=gold)], labels=True)
    (rome,) = tokenizer.convert_tokens_to_ids(["rome"])
    labels, ids = batch["labels"][0].tolist(), batch["input_ids"][0].tolist()
    assert [token for token, label in zip(ids, labels, strict=True) if label == 1] == [rome]
    assert sum(label != IGNORED for label in labels) == 4


@pytest.mark.parametrize(
    ("settings", "max_length", "said"),
    [
        ({"model_max_length": 64}, 16, "has no padding token"),
        ({"pad_token": "<pad>"}, None, "set windows.max_length"),
        ({"pad_token": "<pad>", "model_max_length": 64}, 65, "expected at most 64"),
    ],
)
def test_a_tokenizer_that_cannot_make_rows_is_refused(settings, max_length, said):
    with pytest.raises(InvalidSpecError, match=said):
        layout_of(small_tokenizer(**settings), max_length=max_length)
