"""The task with any number of labels a text: exact targets and predictions, thresholds, pooling, refused settings."""

import json

import numpy as np
import pytest

from nlp_inference import Annotation, Category, Document, MultiLabelClassification, Processor
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.tasks import Task
from nlp_inference.transforms import PostTransform

LABELS = ("joy", "anger", "fear")
LN_3, LN_9 = np.log(3), np.log(9)  # logits of the probabilities 0.75 and 0.9


def document_of(*labels, text="Ana sings", **more):
    return Document(raw_text=text, id="d7", gold={"categories": [{"label": label} for label in labels]}, **more)


def prediction_of(tokenizer, logits, *, windows=None, text="Ana sings", **settings):
    """What is decoded of these logits for each window of a text."""
    processor = Processor(tokenizer, MultiLabelClassification(labels=LABELS, **settings), windows=windows)
    (encoded,) = processor.encode([Document(raw_text=text)])
    rows = processor.rows(encoded)
    return processor.task.decode(encoded, rows, [{"logits": np.float32(one)} for one in logits])


def found(annotation):
    return [(category.label, round(category.score, 4)) for category in annotation.categories]


@pytest.mark.parametrize(
    ("labels", "expected"), [(("joy", "fear"), [1, 0, 1]), ((), [0, 0, 0]), (("fear", "fear"), [0, 0, 1])]
)
def test_targets_are_0_or_1_for_each_label_in_every_window(tokenizer, labels, expected):
    processor = Processor(tokenizer, MultiLabelClassification(labels=LABELS), windows={"max_length": 6, "overlap": 2})
    batch = processor([document_of(*labels, text="Ana sings and sings and sings")], labels=True)
    assert batch["labels"].dtype == np.float32
    assert len(batch["labels"]) > 1
    assert batch["labels"].tolist() == [expected] * len(batch["labels"])


def test_of_a_pair_both_texts_are_read(tokenizer):
    processor = Processor(tokenizer, MultiLabelClassification(labels=LABELS))
    batch = processor([document_of("joy", raw_text_pair="Bo dances")], labels=True)
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert batch["labels"].tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [("joy", 0.9), ("fear", 0.75)]),
        ({"threshold": 0.8}, [("joy", 0.9)]),
        ({"threshold": 0.95}, []),
        ({"thresholds": {"anger": 0.1}}, [("joy", 0.9), ("fear", 0.75), ("anger", 0.25)]),
        ({"threshold": 0.8, "thresholds": {"fear": 0.7}}, [("joy", 0.9), ("fear", 0.75)]),
        ({"temperature": 2.0}, [("joy", 0.75), ("fear", 0.634)]),
    ],
)
def test_labels_at_or_above_their_threshold_are_predicted_best_first(tokenizer, settings, expected):
    assert found(prediction_of(tokenizer, [[LN_9, -LN_3, LN_3]], **settings)) == expected


def test_a_score_that_equals_the_threshold_is_predicted(tokenizer):
    assert found(prediction_of(tokenizer, [[0, -1, -1]], threshold=0.5)) == [("joy", 0.5)]


def test_the_scores_of_all_labels_are_kept_and_do_not_depend_on_thresholds(tokenizer):
    for threshold in (0.0, 0.5, 1.0):
        scores = prediction_of(tokenizer, [[LN_9, -LN_3, 0]], threshold=threshold).label_scores
        assert scores == pytest.approx({"joy": 0.9, "anger": 0.25, "fear": 0.5}, rel=1e-6)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("max", [("joy", 0.9), ("fear", 0.75)]),
        ("first", [("joy", 0.9)]),
        ("mean", []),  # of two windows that own three tokens each
    ],
)
def test_windows_are_pooled_before_the_sigmoid(tokenizer, pooling, expected):
    logits = [[LN_9, -LN_9, -LN_9], [-LN_9 - 0.1, -LN_9, LN_3]]
    text = "Ana sings and Bo dances too"
    assert found(
        prediction_of(tokenizer, logits, pooling=pooling, text=text, windows={"max_length": 6, "overlap": 2})
    ) == (expected)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threshold": 1.1}, "threshold: Input should be less than or equal to 1"),
        ({"threshold": -0.1}, "threshold: Input should be greater than or equal to 0"),
        ({"thresholds": {"joy": 2}}, "thresholds.joy: Input should be less than or equal to 1"),
        ({"thresholds": {"hope": 0.2}}, "thresholds names the label 'hope', which is not among the 3 labels"),
        ({"temperature": 0}, "temperature: Input should be greater than 0"),
        ({"labels": ["a", "a"]}, "labels must be a list of distinct, non-empty names"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(InvalidSpecError, match=said):
        Task.from_spec({"multi-label-classification": {"labels": LABELS, **settings}})


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (document_of("joy", "hope"), "document 'd7': gold label 'hope' is not among the task's 3 labels"),
        (Document(raw_text="Ana", id="d8"), "document 'd8' has no gold; a document without any label has an empty"),
    ],
)
def test_gold_that_cannot_be_learned_names_the_document(tokenizer, document, said):
    processor = Processor(tokenizer, MultiLabelClassification(labels=LABELS))
    with pytest.raises(InvalidDocumentError, match=said):
        processor([document], labels=True)


def test_a_new_head_starts_at_the_log_odds_of_the_labels():
    task = MultiLabelClassification(labels=LABELS)
    bias = task.head_bias({"joy": 5, "anger": 1}, documents=10)
    assert bias.dtype == np.float32
    assert bias.tolist() == pytest.approx([0.0, np.log(1.5 / 9.5), np.log(0.5 / 10.5)])


def test_label_scores_are_left_out_of_json_where_empty():
    plain, scored = Annotation(), Annotation(label_scores={"joy": 0.5})
    assert plain.model_dump_json() == '{"spans":[],"categories":[],"relations":[],"values":{},"generated":[]}'
    assert json.loads(scored.model_dump_json(exclude_defaults=True)) == {"label_scores": {"joy": 0.5}}
    assert Annotation.model_validate_json(scored.model_dump_json()) == scored


@pytest.mark.parametrize(
    ("step", "scores"),
    [
        ({"drop_labels": ["anger"]}, {"joy": 0.9, "fear": 0.2}),
        ({"map_labels": {"labels": {"anger": "bad", "fear": "bad"}}}, {"joy": 0.9, "bad": 0.4}),
        ({"min_score": 0.95}, {"joy": 0.9, "anger": 0.4, "fear": 0.2}),
    ],
)
def test_post_transforms_of_labels_change_the_scores_of_labels_too(step, scores):
    predicted = Annotation(
        categories=(Category(label="joy", score=0.9),), label_scores={"joy": 0.9, "anger": 0.4, "fear": 0.2}
    )
    assert PostTransform.from_spec(step)(Document(raw_text="", predicted=predicted)).predicted.label_scores == scores
