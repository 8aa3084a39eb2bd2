"""What one tag stands for, and what becomes of it on the raw text."""

import numpy as np
import pytest

from nlp_inference import Document, Processor, TokenClassification
from nlp_inference.tasks.numeric import CERTAIN


def predicted(processor, text, tag):
    """What is decoded when every token of `text` gets `tag`."""
    (encoded,) = processor.encode([Document(raw_text=text)])
    rows = processor.rows(encoded)
    tags = processor.task.tag_scheme.tags
    one = np.eye(len(tags), dtype=np.float32)[tags.index(tag)] * CERTAIN
    document = processor.decode_outputs(
        encoded, rows, [{"logits": np.tile(one, (len(row.input_ids), 1))} for row in rows]
    )
    return [document.surface(span) for span in document.predicted.spans]


@pytest.mark.parametrize(
    ("words", "aggregation", "surfaces"),
    [
        ("tokenizer", "first", ["don", "'", "t", "stop", "!"]),
        ("unicode", "first", ["don", "'", "t", "stop", "!"]),
        ("unicode", "max", ["don", "'", "t", "stop", "!"]),
        ("whitespace", "first", ["don't", "stop!"]),
        ("whitespace", "mean", ["don't", "stop!"]),
        ("tokenizer", "none", ["don", "'", "t", "stop", "!"]),
    ],
)
def test_what_a_unit_is(tokenizer, words, aggregation, surfaces):
    processor = Processor(tokenizer, TokenClassification(labels=("A",), words=words, aggregation=aggregation))
    assert predicted(processor, " don't  stop!", "B-A") == surfaces


def test_units_of_one_raw_stretch_are_one_span(tokenizer):
    processor = Processor(tokenizer, TokenClassification(labels=("A",)), preprocess=["normalize_punctuation"])
    assert predicted(processor, "a…b", "B-A") == ["a", "…", "b"]


def test_labels_are_learnt_at_the_first_token_of_a_unit(tokenizer):
    gold = {"spans": [{"start": 0, "end": 5, "label": "A"}]}
    processor = Processor(tokenizer, TokenClassification(labels=("A",), words="whitespace"))
    batch = processor([Document(raw_text="don't stop!", gold=gold)], labels=True)
    assert batch["labels"].tolist() == [[-100, 1, -100, -100, 0, -100, -100]]
