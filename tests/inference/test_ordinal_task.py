"""The task `ordinal-regression`: conditional probabilities of ordered labels, and their median as prediction."""

import numpy as np
import pytest
from tiny_models import tiny_model

from nlp_inference import Document, OrdinalRegression, Predictor, Processor, Task
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError

GRADES = OrdinalRegression(labels=("low", "medium", "high", "extreme"))


def logit(*probabilities):
    chance = np.array(probabilities)
    return np.log(chance / (1 - chance)).astype(np.float32)


def decoded(tokenizer, task, outputs):
    processor = Processor(tokenizer, task, windows={"max_length": 6, "overlap": 0})
    [encoded] = processor.encode([Document(raw_text=" ".join(["good"] * 4 * len(outputs)))])
    return task.decode(encoded, processor.rows(encoded), [{"logits": one} for one in outputs])


def test_probabilities_are_products_of_conditionals_and_the_median_is_predicted(tokenizer):
    found = decoded(tokenizer, GRADES, [logit(0.9, 0.6, 0.5)])  # above: 0.9, 0.54, 0.27
    assert found.label_scores == pytest.approx({"low": 0.1, "medium": 0.36, "high": 0.27, "extreme": 0.27}, abs=1e-6)
    [category] = found.categories
    assert (category.label, category.score) == ("high", pytest.approx(0.27, abs=1e-6))


def test_a_temperature_changes_the_score_and_not_the_label(tokenizer):
    task = GRADES.with_temperature(10.0)
    [category] = decoded(tokenizer, task, [logit(0.9, 0.6, 0.5)]).categories
    assert category.label == "high"
    assert category.score != pytest.approx(0.27, abs=0.02)


def test_logits_of_windows_are_pooled(tokenizer):
    windows = [np.float32([4, 4, 4]), np.float32([-2, -2, -2])]  # the mean is 1 for each output
    [category] = decoded(tokenizer, GRADES, windows).categories
    assert category.label == "high"  # above: 0.73, 0.53, 0.39


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ({"categories": [{"label": "low"}]}, [0, np.nan, np.nan]),
        ({"categories": [{"label": "high"}]}, [1, 1, 0]),
        ({"categories": [{"label": "extreme"}]}, [1, 1, 1]),
    ],
)
def test_an_output_learns_only_from_labels_that_are_not_below_it(tokenizer, gold, expected):
    batch = Processor(tokenizer, GRADES)([Document(raw_text="good", gold=gold)], labels=True)
    assert batch["labels"].dtype == np.float32
    np.testing.assert_array_equal(batch["labels"], [expected])


def test_labels_may_be_numbers_and_gold_too(tokenizer):
    task = Task.from_spec({"ordinal-regression": {"labels": [1, 2, 2.5]}})
    assert task.labels == ("1", "2", "2.5")
    documents = [Document(raw_text="good", gold={"values": {"stars": stars}}) for stars in (1, 2.5)]
    batch = Processor(tokenizer, task)(documents, labels=True)
    np.testing.assert_array_equal(batch["labels"], [[0, np.nan], [1, 1]])


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        (
            {"categories": [{"label": "huge"}]},
            "document 'a' has the rank 'huge', which is not among the labels low, me",
        ),
        ({"values": {"score": 3.5}}, "document 'a' has the rank '3.5', which is not among the labels"),
        ({}, "document 'a' has 0 gold ranks; ordinal-regression learns from exactly one"),
        ({"values": {"a": 1, "b": 2}}, "document 'a' has 2 gold ranks"),
    ],
)
def test_gold_without_one_known_rank_is_refused(tokenizer, gold, said):
    with pytest.raises(InvalidDocumentError, match=said):
        Processor(tokenizer, GRADES)([Document(id="a", raw_text="good", gold=gold)], labels=True)


@pytest.mark.parametrize(
    ("labels", "said"),
    [(["one"], "an order needs at least two labels"), (["a", "a"], "repeated: .'a'"), ([1, 1.0], "repeated: .'1'")],
)
def test_an_order_has_two_distinct_labels(labels, said):
    with pytest.raises(InvalidSpecError, match=said):
        Task.from_spec({"ordinal-regression": {"labels": labels}})


def test_a_head_starts_at_the_conditional_frequencies():
    bias = GRADES.head_bias({"low": 50, "medium": 25, "high": 25}, documents=100)
    assert bias.tolist() == pytest.approx(np.log([50.5 / 50.5, 25.5 / 25.5, 0.5 / 25.5]), abs=1e-6)


def test_a_pipeline_returns_one_label(ordinal_processor):
    task = ordinal_processor.task
    predictor = Predictor(ordinal_processor, TorchBackend(tiny_model(task), task=task))
    [document] = predictor.predict(["good"])
    [category] = document.predicted.categories
    assert predictor.as_pipeline()("good") == [{"label": category.label, "score": pytest.approx(category.score)}]
    assert sum(document.predicted.label_scores.values()) == pytest.approx(1)
