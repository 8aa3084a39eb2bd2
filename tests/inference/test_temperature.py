"""A temperature scales confidence, is saved, and changes no answer."""

import json

import numpy as np
import pytest
from tiny_models import tiny_model

from nlp_inference import Document, Predictor, Processor, TextClassification, TokenClassification
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import Task

TEXTS = ["Ana lives in Rome and Bo in Oslo", "word " * 60, "Carla, of Lima; Dov!", "", "<b>Eva</b> saw Cairo"]


def predict(processor: Processor, temperature: float) -> list[Document]:
    task = processor.task.with_temperature(temperature)
    other = Processor(processor.tokenizer, task, processor.preprocess.to_spec(), [], processor.windows)
    return Predictor(other, TorchBackend(tiny_model(task), task=task)).predict(TEXTS)


@pytest.mark.parametrize("temperature", [0.1, 40.0])
@pytest.mark.parametrize("scheme", ["BIO", "BILOU"])
@pytest.mark.parametrize("aggregation", ["first", "mean", "max"])
def test_spans_are_the_same_at_every_temperature(token_processor, scheme, aggregation, temperature):
    task = TokenClassification(labels=("PERSON", "CITY"), scheme=scheme, aggregation=aggregation, outside_bias=-0.1)
    processor = Processor(token_processor.tokenizer, task, ["strip_html"], [], token_processor.windows)
    plain, scaled = predict(processor, 1.0), predict(processor, temperature)
    places, other = (
        [[(span.start, span.end, span.label) for span in one.predicted.spans] for one in side]
        for side in (plain, scaled)
    )
    assert places == other
    assert sum(map(len, places)) > 10
    scores, scaled_scores = (
        np.array([span.score for one in side for span in one.predicted.spans]) for side in (plain, scaled)
    )
    assert (scores != scaled_scores).all()


def test_the_score_of_a_category_is_the_softmax_of_scaled_logits(tokenizer):
    task = TextClassification(labels=("a", "b", "c"), top_k=None, temperature=2.5)
    processor = Processor(tokenizer, task)
    (encoded,) = processor.encode([Document(raw_text="x")])
    logits = np.array([0.0, 5.0, 2.0], dtype=np.float32)
    categories = task.decode(encoded, processor.rows(encoded), [{"logits": logits}]).categories
    expected = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum()
    assert [(one.label, one.score) for one in categories] == [
        (label, pytest.approx(expected[index], rel=1e-5)) for label, index in (("b", 1), ("c", 2), ("a", 0))
    ]


def test_a_temperature_of_one_is_not_written_and_any_other_comes_back(token_processor, tmp_path):
    token_processor.save_pretrained(tmp_path / "plain")
    assert "temperature" not in (tmp_path / "plain" / "processor_config.json").read_text()
    task = token_processor.task.with_temperature(1.75)
    Processor(token_processor.tokenizer, task).save_pretrained(tmp_path / "scaled")
    saved = json.loads((tmp_path / "scaled" / "processor_config.json").read_text())
    assert saved["task"]["token-classification"]["temperature"] == 1.75
    assert Processor.from_pretrained(tmp_path / "scaled").task == task
    assert Task.from_spec({"text-classification": ["a", "b"]}).labels == ("a", "b")  # still the first field


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan"), "warm"])
@pytest.mark.parametrize("name", ["token-classification", "text-classification"])
def test_temperatures_that_cannot_be_are_refused(name, temperature):
    with pytest.raises(InvalidSpecError, match="temperature"):
        Task.from_spec({name: {"labels": ["a"], "temperature": temperature}})
