"""Text pairs: which text is split into windows, and both orders of the texts."""

import numpy as np
import pytest
from tiny_models import tiny_model

from nlp_inference import Document, Predictor, Processor, TextClassification, TextRegression, TokenClassification
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.encoding.windows import WindowSettings
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError

WORDS = "one two three four five six seven eight nine ten"  # a token each


def text_of(size):
    return " ".join(WORDS.split()[:size])


def processor_of(tokenizer, *, task=None, **windows):
    task = task or TextClassification(labels=("no", "yes"), top_k=None)
    return Processor(tokenizer, task, windows={"max_length": 11, "overlap": 0, **windows})  # 8 without special tokens


def rows_of(processor, text, pair):
    [encoded] = processor.encode([Document(id="a", raw_text=text, raw_text_pair=pair)])
    rows = processor.rows(encoded)
    assert tuple(len(row.input_ids) - 3 for row in rows) == encoded.row_lengths()
    return [processor.tokenizer.decode(row.input_ids).replace("[CLS] ", "").removesuffix(" [SEP]") for row in rows]


@pytest.mark.parametrize(
    ("settings", "sizes", "rows"),
    [
        ({}, (4, 6), ["one two [SEP] one two three four five six", "three four [SEP] one two three four five six"]),
        (
            {"pair_split": "text_pair"},
            (6, 4),
            ["one two three four five six [SEP] one two", "one two three four five six [SEP] three four"],
        ),
        ({"pair_split": "both"}, (3, 5), ["one two three [SEP] one two three four five"]),
        (
            {"pair_split": "both"},
            (2, 8),
            ["one two [SEP] one two three four five six", "one two [SEP] seven eight"],
        ),
        (
            {"pair_split": "both"},
            (5, 6),
            [
                "one two three four [SEP] one two three four",
                "one two three four [SEP] five six",
                "five [SEP] one two three four",
                "five [SEP] five six",
            ],
        ),
        ({"pair_split": "both", "on_overflow": "truncate"}, (5, 6), ["one two three four [SEP] one two three four"]),
    ],
)
def test_the_text_that_is_named_is_split(tokenizer, settings, sizes, rows):
    assert rows_of(processor_of(tokenizer, **settings), *map(text_of, sizes)) == rows


def test_a_text_that_is_not_split_must_leave_room(tokenizer):
    with pytest.raises(InvalidDocumentError, match="document 'a': its text pair of 9 tokens leaves 0 of 11 tokens for"):
        rows_of(processor_of(tokenizer), text_of(1), text_of(9))
    with pytest.raises(InvalidDocumentError, match="its text of 9 tokens leaves 0 of 11 tokens for the text pair, too"):
        rows_of(processor_of(tokenizer, pair_split="text_pair"), text_of(9), text_of(1))
    assert rows_of(processor_of(tokenizer, pair_split="text_pair"), text_of(8), "") == [f"{text_of(8)} [SEP]"]


def test_what_is_truncated_is_reported(tokenizer):
    processor = processor_of(tokenizer, pair_split="text_pair", on_overflow="truncate")
    pair = text_of(5)
    [encoded] = processor.encode([Document(raw_text=text_of(5), raw_text_pair=pair)])
    coverage = encoded.coverage()
    assert (coverage.truncated, coverage.windows, coverage.unread) == (True, 1, ())
    assert [pair[start:end] for start, end in coverage.unread_pair] == [" four five"]
    [whole] = processor_of(tokenizer, pair_split="both").encode([Document(raw_text=text_of(5), raw_text_pair=pair)])
    assert whole.coverage().complete


def test_both_orders_are_rows_and_their_outputs_are_averaged(tokenizer):
    task = TextRegression(names=("score",), scaling="none", symmetric=True)
    processor = processor_of(tokenizer, task=task)
    assert rows_of(processor, "one two", "three") == ["one two [SEP] three", "three [SEP] one two"]
    [encoded] = processor.encode([Document(raw_text="one two", raw_text_pair="three")])
    outputs = [{"logits": np.float32([one])} for one in (1, 4)]
    assert task.decode(encoded, processor.rows(encoded), outputs).values == {"score": 2.5}


@pytest.mark.parametrize("pooling", ["mean", "max", "first"])
def test_windows_are_pooled_after_the_mean_of_both_orders(tokenizer, pooling):
    task = TextRegression(names=("score",), scaling="none", symmetric=True, pooling=pooling)
    processor = processor_of(tokenizer, task=task)
    [encoded] = processor.encode([Document(raw_text=text_of(3), raw_text_pair=text_of(6))])
    rows = processor.rows(encoded)
    assert [window[:2] for window in encoded.windows] == [(0, 2), (2, 3)] * 2
    outputs = [{"logits": np.float32([one])} for one in (1, 2, 3, 6)]  # the means of both orders are 2 and 4
    expected = {"mean": (2 * 2 + 4) / 3, "max": 4, "first": 2}[pooling]
    assert task.decode(encoded, rows, outputs).values["score"] == pytest.approx(expected)


def test_windows_of_both_texts_have_the_weight_of_their_tokens(tokenizer):
    task = TextRegression(names=("score",), scaling="none")
    processor = processor_of(tokenizer, task=task, pair_split="both")
    [encoded] = processor.encode([Document(raw_text=text_of(5), raw_text_pair=text_of(6))])
    outputs = [{"logits": np.float32([one])} for one in (1, 2, 3, 4)]
    found = task.decode(encoded, processor.rows(encoded), outputs).values["score"]
    assert found == pytest.approx((1 * 16 + 2 * 8 + 3 * 4 + 4 * 2) / 30)


def test_a_symmetric_prediction_does_not_depend_on_the_order(tokenizer):
    task = TextClassification(labels=("no", "yes"), top_k=None, symmetric=True)
    predictor = Predictor(
        processor_of(tokenizer, task=task, pair_split="both"), TorchBackend(tiny_model(task), task=task)
    )
    pairs = [(text_of(5), text_of(7)), ("nine", "ten one"), (text_of(2), None)]
    found = predictor.predict([Document(raw_text=one, raw_text_pair=other) for one, other in pairs])
    swapped = predictor.predict([Document(raw_text=other, raw_text_pair=one) for one, other in pairs[:2]])
    for one, other in zip(found[:2], swapped, strict=True):
        scores = [{category.label: category.score for category in two.predicted.categories} for two in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert [document.coverage.windows for document in found] == [8, 2, 1]


def test_every_row_learns_the_label(tokenizer):
    task = TextClassification(labels=("no", "yes"), symmetric=True)
    gold = {"categories": [{"label": "yes"}]}
    document = Document(raw_text=text_of(5), raw_text_pair=text_of(6), gold=gold)
    batch = processor_of(tokenizer, task=task, pair_split="both")([document], labels=True)
    assert batch["labels"].tolist() == [1] * 8


def test_tokens_are_predicted_only_of_the_text_that_is_split(tokenizer):
    with pytest.raises(InvalidSpecError, match=r"windows.pair_split is 'both', but the task 'token-classification'"):
        processor_of(tokenizer, task=TokenClassification(labels=("A",)), pair_split="both")


def test_settings_of_pairs_are_saved_only_where_they_are_set(tokenizer, tmp_path):
    assert "pair_split" not in WindowSettings().model_dump()
    task = TextClassification(labels=("no", "yes"), symmetric=True)
    processor_of(tokenizer, task=task, pair_split="both").save_pretrained(tmp_path)
    loaded = Processor.from_pretrained(tmp_path)
    assert (loaded.windows.pair_split, loaded.task.symmetric) == ("both", True)
