"""The task `text-regression`: scaling, missing values, windows, and what is compared and counted of numbers."""

import numpy as np
import pytest
from fakes import RecordingBackend
from tiny_models import tiny_model

from nlp_inference import Annotation, Document, Predictor, Processor, TextRegression
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.golden.findings import compare_results
from nlp_inference.tasks import Task

STARS = TextRegression(names=("stars", "votes"), offsets=(3, 10), scales=(2, 5))


def gold(**values):
    return Document(id="a", raw_text="Fine", gold=Annotation(values=values))


@pytest.mark.parametrize(
    ("fields", "values", "target"),
    [
        ({"scaling": "none"}, {"score": 3.5}, [3.5]),
        ({"scaling": "standard", "offsets": [2.5], "scales": [2]}, {"score": 3.5}, [0.5]),
        ({"scaling": "min_max", "offsets": [1], "scales": [4]}, {"score": 5}, [1]),
        ({"scaling": "log1p"}, {"score": 0}, [0]),
        ({"scaling": "log1p"}, {"score": np.e - 1}, [1]),
        ({"scaling": "none"}, {"score": -100}, [-100]),
    ],
)
def test_a_scaling_and_its_inverse(fields, values, target):
    task = Task.from_spec({"text-regression": {"names": ["score"], **fields}})
    assert task.to_targets(values).tolist() == pytest.approx(target)
    assert task.to_values(np.array(target)) == pytest.approx(values)


def test_a_value_that_is_not_annotated_is_no_target(tokenizer):
    processor = Processor(tokenizer, STARS)
    batch = processor([gold(stars=4), gold(votes=0)], labels=True, return_tensors="np")
    assert str(batch["labels"].tolist()) == "[[0.5, nan], [nan, -2.0]]"
    assert batch["labels"].dtype == np.float32


def test_the_outputs_of_windows_are_pooled_before_the_scaling_is_reversed(tokenizer):
    words = " ".join(["word"] * 6)
    for pooling, expected in (("mean", 4.0), ("max", 5.0), ("first", 3.0)):
        task = TextRegression(names=("stars",), pooling=pooling, offsets=(3,), scales=(2,))
        processor = Processor(tokenizer, task, windows={"max_length": 5, "overlap": 0})
        (encoded,) = processor.encode([Document(raw_text=words)])
        outputs = [{"logits": np.float32([0])}, {"logits": np.float32([1])}]
        assert task.decode(encoded, processor.rows(encoded), outputs).values == {"stars": expected}


def test_a_large_output_of_log1p_is_a_finite_number():
    [value] = TextRegression(names=("votes",), scaling="log1p").to_values(np.float32([1e9])).values()
    assert np.isfinite(value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"names": []}, "labels must be a list of distinct, non-empty names"),
        ({"names": ["a"]}, "scaling 'standard' needs offsets with a number for each of names ('a',), and has None"),
        ({"names": ["a"], "offsets": [1, 2], "scales": [1]}, "needs offsets with a number for each"),
        ({"names": ["a"], "offsets": [1], "scales": [0]}, "scales"),
        ({"names": ["a"], "scaling": "log1p", "scales": [1]}, "scaling 'log1p' has no scales; leave scales out"),
    ],
)
def test_settings_that_do_not_fit_are_refused(fields, said):
    with pytest.raises(InvalidSpecError) as raised:
        Task.from_spec({"text-regression": fields})
    assert said in str(raised.value)


def test_gold_that_cannot_be_learnt_is_named(tokenizer):
    with pytest.raises(InvalidDocumentError, match="document 'a' has none of the values 'stars', 'votes'"):
        Processor(tokenizer, STARS)([gold(other=1)], labels=True)
    task = TextRegression(names=("votes",), scaling="log1p")
    with pytest.raises(InvalidDocumentError, match=r"document 'a' has the value 'votes' -1\.0, and scaling 'log1p'"):
        Processor(tokenizer, task)([gold(votes=-1)], labels=True)


def test_the_model_learns_a_regression():
    settings = STARS.model_settings()
    assert (settings["num_labels"], settings["problem_type"]) == (2, "regression")
    assert settings["id2label"] == {0: "stars", 1: "votes"}


def test_differences_are_compared_in_units_of_the_scaling():
    one, other = (
        Document(raw_text="a", predicted=Annotation(values={"stars": stars, "votes": 10.0})) for stars in (3.0, 3.1)
    )
    assert compare_results(one, other).score_difference == pytest.approx(0.1)
    assert compare_results(one, other, unit=STARS.value_unit).score_difference == pytest.approx(0.05)
    assert STARS.value_unit("stars", 23) == 20  # the error of a large output grows with it
    assert TextRegression(names=("votes",), scaling="log1p").value_unit("votes", 0.5) == 1.5


def test_values_are_counted_in_bins_of_half_a_standard_deviation():
    assert STARS.value_bin("stars", 3.2) == "3 to 4"
    assert STARS.value_bin("votes", 0.1) == "0 to 2.5" == STARS.value_bin("votes", 2.4)
    assert STARS.value_bin("votes", 1e9) == "60 to 62.5" == STARS.value_bin("votes", 1e12)
    assert TextRegression(names=("votes",), scaling="none").value_bin("votes", 1100) == "1024 to 1280"


def test_a_predictor_counts_values_in_its_profile(regression_processor):
    predictor = Predictor(regression_processor, RecordingBackend(regression_processor, token_budget=100))
    documents = predictor.predict(["Fine", "Bad"])
    counts = predictor.recorder.profile().values
    assert sorted(counts) == ["stars", "votes"]
    assert all(sum(of_value.values()) == 2 for of_value in counts.values())
    assert all(set(one.predicted.values) == {"stars", "votes"} for one in documents)


def test_a_pipeline_returns_numbers_as_they_are(regression_processor):
    task = regression_processor.task
    predictor = Predictor(regression_processor, TorchBackend(tiny_model(task), task=task))
    [document] = predictor.predict(["Fine"])
    expected = [{"label": name, "score": value} for name, value in document.predicted.values.items()]
    assert predictor.as_pipeline()("Fine") == expected
    assert any(not 0 <= one["score"] <= 1 for one in expected)
