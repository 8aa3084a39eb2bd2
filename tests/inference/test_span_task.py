"""Spans that overlap: what is asked of the model, and what is read off its answer."""

import numpy as np
import pytest
from pydantic import ValidationError

from nlp_inference import Document, Processor, SpanClassification
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidDocumentError, PredictionError

LABELS = ("CITY", "CLUB")
X = IGNORED


@pytest.fixture(scope="module")
def processor(tokenizer):
    return Processor(tokenizer, SpanClassification(labels=LABELS))


def gold(*spans):
    return {"spans": [{"start": start, "end": end, "label": label} for start, end, label in spans]}


def answers(processor, encoded, scores, other=-9.0):
    """A model's answer to each window: `scores` of token pairs and labels of the document, and `other` elsewhere."""
    outputs = []
    for row, window in zip(processor.rows(encoded), encoded.windows, strict=True):
        logits = np.full((len(row.input_ids), len(row.input_ids), len(LABELS)), other, dtype=np.float32)
        for (first, last, label), score in scores.items():
            if window.start <= first and last < window.end:
                place = row.content.start - window.start
                logits[first + place, last + place, LABELS.index(label)] = score
        outputs.append({"logits": logits})
    return outputs


def found(processor, text, scores):
    (encoded,) = processor.encode([Document(raw_text=text)])
    document = processor.decode_outputs(encoded, processor.rows(encoded), answers(processor, encoded, scores))
    return [(document.surface(span), span.label, round(span.score, 4)) for span in document.predicted.spans]


def test_targets_are_the_tokens_of_the_first_and_the_last_word(processor):
    documents = [
        Document(raw_text="Real Madrid won", gold=gold((0, 11, "CLUB"), (5, 11, "CITY"))),
        Document(
            raw_text="unbelievably so", gold=gold((0, 12, "CITY"))
        ),  # five tokens, of which the first stands for it
    ]
    batch = processor(documents, labels=True)
    assert batch["labels"].tolist() == [[[1, 2, 1], [2, 2, 0]], [[1, 1, 0], [X, X, X]]]


def test_spans_inside_each_other_and_of_two_labels_are_found(processor):
    scores = {(0, 1, "CLUB"): np.log(3), (1, 1, "CITY"): np.log(3), (1, 1, "CLUB"): np.log(1.5)}
    assert found(processor, "Real Madrid won", scores) == [
        ("Real Madrid", "CLUB", 0.75),
        ("Madrid", "CITY", 0.75),
        ("Madrid", "CLUB", 0.6),
    ]


def test_a_span_does_not_end_before_it_begins(processor):
    assert found(processor, "Real Madrid won", {(1, 0, "CLUB"): 9}) == []


@pytest.mark.parametrize(("threshold", "surfaces"), [(0.5, []), (0.2, ["Madrid"]), (0.3, [])])
def test_a_span_is_what_is_more_probable_than_the_threshold(tokenizer, threshold, surfaces):
    processor = Processor(tokenizer, SpanClassification(labels=LABELS, threshold=threshold))
    spans = found(processor, "Real Madrid won", {(1, 1, "CITY"): np.log(1 / 3)})  # 0.25
    assert [surface for surface, *_ in spans] == surfaces


def test_a_span_that_two_windows_read_is_scored_where_it_is_farther_from_an_edge(tokenizer):
    processor = Processor(tokenizer, SpanClassification(labels=LABELS), windows={"max_length": 8, "overlap": 3})
    (encoded,) = processor.encode([Document(raw_text="a b c d e f g h i")])
    assert [(window.start, window.end) for window in encoded.windows] == [(0, 6), (3, 9)]
    outputs = answers(processor, encoded, {})
    (first, second), (begin, _) = outputs, (1, 1)  # content begins behind [CLS]
    first["logits"][begin + 3, begin + 4, 0] = 9  # d e: one token from the end of the first window
    second["logits"][begin + 0, begin + 1, 0] = -9  # and at the very beginning of the second
    second["logits"][begin + 1, begin + 2, 1] = 9  # e f: at the very end of the first, one from the beginning here
    document = processor.decode_outputs(encoded, processor.rows(encoded), outputs)
    assert [(document.surface(span), span.label) for span in document.predicted.spans] == [
        ("d e", "CITY"),
        ("e f", "CLUB"),
    ]


def test_a_span_that_no_window_reads_whole_is_lost_and_said_to_be(tokenizer):
    processor = Processor(tokenizer, SpanClassification(labels=LABELS), windows={"max_length": 6, "overlap": 1})
    document = Document(raw_text="a b c d e f", gold=gold((0, 9, "CITY"), (0, 3, "CITY")))
    (encoded,) = processor.encode([document])
    lost = processor.task.lost_spans(encoded)
    assert [(one.span.end, one.cause) for one in lost] == [(9, "no window contains all of it")]
    assert processor([document], labels=True)["labels"].tolist() == [[[1, 2, 0]], [[X, X, X]]]


def test_gold_of_another_label_is_refused(processor):
    with pytest.raises(InvalidDocumentError, match="'TOWN' is not among the labels"):
        processor([Document(raw_text="Rome", gold=gold((0, 4, "TOWN")))], labels=True)


def test_answers_that_were_condensed_say_the_same_and_are_small(tokenizer):
    processor = Processor(tokenizer, SpanClassification(labels=LABELS), windows={"max_length": 8, "overlap": 3})
    (encoded,) = processor.encode([Document(raw_text="a b c d e f g h i")])
    rows, outputs = processor.rows(encoded), answers(processor, encoded, {(0, 2, "CLUB"): 1.5, (4, 4, "CITY"): 0.5})
    condensed = [processor.condense(row, output) for row, output in zip(rows, outputs, strict=True)]
    whole = processor.decode_outputs(encoded, rows, outputs)
    assert [processor.decode_outputs(encoded, rows, condensed)] == [whole]
    assert [len(one["spans"]) for one in condensed] == [2, 1]
    assert {(span.start, span.end, span.label) for span in whole.predicted.spans} == {(0, 5, "CLUB"), (8, 9, "CITY")}


def test_answers_that_are_no_numbers_are_not_condensed_to_nothing(processor):
    (encoded,) = processor.encode([Document(raw_text="Real Madrid")])
    [output] = answers(processor, encoded, {(0, 0, "CITY"): np.nan})
    with pytest.raises(PredictionError, match="'logits' contains NaN"):
        processor.condense(processor.rows(encoded)[0], output)


@pytest.mark.parametrize("threshold", [0, 1])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ValidationError, match="threshold"):
        SpanClassification(labels=LABELS, threshold=threshold)


def test_of_too_many_spans_the_most_probable_ones_are_kept(tokenizer):
    text = "Ana Bo Eve Rome Oslo"
    scores = {(first, last, "CITY"): 1 + first + last / 10 for first in range(5) for last in range(first, 5)}
    unlimited = Processor(tokenizer, SpanClassification(labels=LABELS))
    assert len(found(unlimited, text, scores)) == 15
    limited = Processor(tokenizer, SpanClassification(labels=LABELS, spans_per_token=0.6))
    assert [surface for surface, *_ in found(limited, text, scores)] == ["Rome", "Rome Oslo", "Oslo"]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_of_spans_must_be_a_positive_number(value):
    with pytest.raises(ValidationError, match="spans_per_token"):
        SpanClassification(labels=LABELS, spans_per_token=value)
