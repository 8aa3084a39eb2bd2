"""Several tasks as heads of one encoder: settings, targets, decoding, annotations of heads."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from tiny_models import tiny_model

from nlp_inference import Annotation, Category, Document, MultiTask, Predictor, Processor, Span, redact
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.encoding.input_rows import pad_targets
from nlp_inference.errors import ArtefactError, InvalidDocumentError, InvalidSpecError

INTENT = {"text-classification": {"labels": ["play", "stop"]}}
SLOTS = {"token-classification": {"labels": ["artist"]}}
PLAY = Annotation(categories=(Category(label="play"),))
ANA = Annotation(spans=(Span(start=5, end=8, label="artist"),))


@pytest.fixture(scope="module")
def processor(tokenizer):
    heads = {"intent": INTENT, "mood": INTENT, "slots": SLOTS}
    return Processor(tokenizer, MultiTask(heads=heads, weights={"slots": 2}), windows={"max_length": 12, "overlap": 2})


@pytest.fixture(scope="module")
def predictor(processor):
    return Predictor(processor, TorchBackend(tiny_model(processor.task), task=processor.task))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"heads": {}}, "there is no head"),
        ({"heads": {"a b": INTENT}}, "the name of a head is 'a b'; use letters"),
        ({"heads": {"a": INTENT, "a_b": INTENT}}, "the head 'a_b' begins with the name of the head 'a'"),
        (
            {"heads": {"a": "question-answering"}},
            "the task 'question-answering' of the head 'a' cannot share an encoder",
        ),
        ({"heads": {"a": INTENT}, "weights": {"b": 1}}, "weights names the head 'b', but the heads are a"),
        (
            {"heads": {"a": SLOTS, "b": {"span-classification": {"labels": ["x"], "words": "whitespace"}}}},
            "the heads define words differently: unicode, whitespace",
        ),
    ],
)
def test_heads_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        MultiTask(**settings)


def test_targets_say_which_heads_have_gold(processor):
    gold = [Annotation(heads={"intent": PLAY, "slots": ANA}), Annotation(heads={"mood": PLAY})]
    documents = [Document(raw_text="Play Ana", gold=one) for one in gold]
    batch = processor(documents, labels=True)
    assert {name: batch[name].tolist() for name in batch if name.endswith(("_present", "_labels"))} == {
        "intent_present": [1, 0],
        "intent_labels": [0, -100],
        "mood_present": [0, 1],
        "mood_labels": [-100, 0],
        "slots_present": [1, 0],
        "slots_labels": [[-100, 0, 1, -100], [-100] * 4],
    }


def test_a_row_without_an_array_gets_padding_only():
    rows = [{"a": np.float32([1, 2])}, {"b": np.int64(3)}]
    padded = pad_targets(rows)
    assert np.array_equal(padded["a"], [[1, 2], [np.nan, np.nan]], equal_nan=True)
    assert padded["b"].tolist() == [-100, 3]


def test_a_document_without_gold_has_no_targets(processor):
    with pytest.raises(InvalidDocumentError, match="document 'x' has no gold for any head"):
        processor([Document(id="x", raw_text="Play Ana")], labels=True)


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        ({"colour": PLAY}, "has gold for the head 'colour', but the heads are 'intent', 'mood', 'slots'"),
        (
            {"slots": Annotation(spans=(*ANA.spans, Span(start=6, end=8, label="artist")))},
            "(head 'slots') has overlapping spans: 5:8 artist and 6:8 artist",
        ),
    ],
)
def test_gold_that_no_head_learns_is_named(processor, heads, said):
    problem = processor.task.gold_problem(Annotation(heads=heads))
    assert problem is not None
    assert problem.startswith(said)


def test_heads_of_one_kind_keep_their_predictions_apart(predictor):
    document = predictor.predict("Play Ana")
    assert list(document.predicted.heads) == ["intent", "mood", "slots"]
    intent, mood = (document.predicted.heads[name].categories[0] for name in ("intent", "mood"))
    assert intent.score != mood.score
    assert Document.model_validate_json(document.model_dump_json()) == document
    assert Document.from_offsets(document.to_offsets("utf-8")) == document


def test_only_some_heads_are_decoded_on_request(predictor):
    document = predictor.predict("Play Ana", heads=["mood"])
    assert document.predicted.heads == {"mood": predictor.predict("Play Ana").predicted.heads["mood"]}
    with pytest.raises(InvalidSpecError, match=r"heads is \['moods'\], expected some of intent, mood, slots"):
        predictor.predict("Play Ana", heads=["moods"])


def test_a_task_without_heads_refuses_heads(token_processor):
    task = token_processor.task
    predictor = Predictor(token_processor, TorchBackend(tiny_model(task), task=task))
    with pytest.raises(InvalidSpecError, match="the task 'token-classification' has no heads; leave heads out"):
        predictor.predict("Play Ana", heads=["mood"])


def test_a_pipeline_is_that_of_one_head(predictor):
    with pytest.raises(InvalidSpecError, match="the model has the heads intent, mood, slots; name one"):
        predictor.as_pipeline()
    [found] = predictor.as_pipeline(head="intent")(["Play Ana"])
    assert found["label"] in ("play", "stop")
    assert len(predictor.as_pipeline(head="intent")("Play Ana", top_k=None)) == 2


def test_the_model_says_which_heads_it_has(processor, tmp_path):
    model = tiny_model(processor.task)
    assert type(model).__name__ == "BertForMultiTask"
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["task_heads"]["intent"] == {
        "kind": "text",
        "labels": ["play", "stop"],
    }
    swapped = MultiTask(heads={"intent": SLOTS, "mood": INTENT, "slots": SLOTS})
    with pytest.raises(ArtefactError, match=r"has the heads .* but its processor decodes"):
        TorchBackend.from_pretrained(tmp_path, task=swapped)


def test_the_profile_counts_each_head(predictor):
    served = predictor.with_processor(predictor.processor)
    served.predict(["Play Ana", "Stop"])
    counts = served.profile().head_categories
    assert {head: sum(found.values()) for head, found in counts.items()} == {"intent": 2, "mood": 2}
    assert "category intent" in served.profile().distributions()


def test_spans_of_all_heads_are_redacted():
    heads = {"a": ANA, "b": Annotation(spans=(Span(start=0, end=4, label="VERB"),))}
    document = Document(raw_text="Play Ana", predicted=Annotation(heads=heads))
    assert redact(document, unseen="keep") == "[VERB] [artist]"


def test_an_annotation_of_heads_is_checked():
    with pytest.raises(ValidationError, match=r"gold head 'slots' span .* ends outside the raw text"):
        Document(raw_text="Play", gold=Annotation(heads={"slots": ANA}))
    with pytest.raises(ValidationError, match="the head 'a' has heads of its own"):
        Annotation(heads={"a": Annotation(heads={"b": PLAY})})
    assert "heads" not in Annotation().model_dump()


def test_a_head_of_ordered_labels_has_one_output_fewer():
    task = MultiTask(heads={"grade": {"ordinal-regression": {"labels": ["low", "mid", "high"]}}})
    assert task.head_settings == {"grade": {"kind": "text", "labels": ["> low", "> mid"]}}
    assert task.labels == ("grade/low", "grade/mid", "grade/high")
