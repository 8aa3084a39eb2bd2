"""Tags that depend on their neighbours: what is asked of the model, and what is read off its answer."""

import numpy as np
import pytest
from pydantic import ValidationError

from nlp_inference import CrfTokenClassification, Document, Processor
from nlp_inference.encoding.input_rows import IGNORED

X = IGNORED
TAGS = ("O", "B-CITY", "I-CITY")


@pytest.fixture(scope="module")
def processor(tokenizer):
    return Processor(tokenizer, CrfTokenClassification(labels=("CITY",)), windows={"max_length": 8, "overlap": 2})


def found(processor, text, logits, transitions):
    """Surfaces and scores of what is decoded of these logits of the words of one window."""
    (encoded,) = processor.encode([Document(raw_text=text)])
    rows = processor.rows(encoded)
    answer = np.zeros((len(rows[0].input_ids), len(TAGS)), dtype=np.float32)
    answer[rows[0].content] = logits
    outputs = [{"logits": answer, "transitions": np.array(transitions, dtype=np.float32)}]
    document = processor.decode_outputs(encoded, rows, outputs)
    return [(document.surface(span), round(span.score, 4)) for span in document.predicted.spans]


def test_only_the_first_token_of_a_word_has_a_target(processor):
    gold = {"spans": [{"start": 3, "end": 15, "label": "CITY"}]}
    batch = processor([Document(raw_text="in unbelievably", gold=gold)], labels=True)
    assert batch["labels"].tolist() == [[X, 0, 1, X, X, X, X, X]]


@pytest.mark.parametrize(
    ("transitions", "expected"),
    [
        ([[0, 0, 0], [0, 0, 0], [0, 0, 0]], ["New", "York"]),
        ([[0, 0, 0], [0, -2, 2], [0, 0, 0]], ["New York"]),  # B-CITY is followed by I-CITY, not by B-CITY
    ],
)
def test_transitions_decide_where_logits_hardly_do(processor, transitions, expected):
    logits = [[4, 0, 0], [0, 3, 0], [0, 2, 1]]
    assert [surface for surface, _ in found(processor, "in New York", logits, transitions)] == expected


def test_what_the_scheme_forbids_is_not_found_however_good_its_transition(processor):
    transitions = [[0, 0, 9], [0, 0, 0], [0, 0, 0]]  # I-CITY behind O
    logits = [[4, 0, 0], [0, 1, 3]]
    assert [surface for surface, _ in found(processor, "in Rome", logits, transitions)] == ["Rome"]


def test_a_score_is_the_probability_of_the_tags_whatever_the_others_are(processor):
    [(surface, score)] = found(processor, "Rome", [[0, np.log(3), 5]], np.zeros((3, 3)))  # no I-CITY at the start
    assert (surface, score) == ("Rome", 0.75)


def test_the_temperature_divides_logits_and_transitions(tokenizer):
    task = CrfTokenClassification(labels=("CITY",), temperature=2)
    processor = Processor(tokenizer, task)
    [(_, score)] = found(processor, "Rome", [[0, 2 * np.log(3), 0]], np.zeros((3, 3)))
    assert score == 0.75


def test_a_bias_of_the_outside_finds_more_spans(tokenizer):
    processor = Processor(tokenizer, CrfTokenClassification(labels=("CITY",), outside_bias=-2))
    assert found(processor, "Rome", [[1, 0, 0]], np.zeros((3, 3))) == [("Rome", 0.7311)]


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_logits_of_several_tokens_make_no_chain(aggregation):
    with pytest.raises(ValidationError, match="'first' or 'none'"):
        CrfTokenClassification(labels=("CITY",), aggregation=aggregation)
