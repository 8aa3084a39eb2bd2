"""Beside the stock pipeline, on its own architectures and where it is right: the same answers."""

import pytest
import torch
from tiny_models import tiny_model
from transformers import pipeline

from nlp_inference import Predictor, Processor, TextClassification, TokenClassification
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidSpecError

LABELS = ("PERSON", "CITY", "ORG")
TEXTS = [
    "ana lives in rome and writes to bob",
    "the café of old john, 12 main street",
    "one",
    "call me tomorrow at nine, or write to the office in paris",
]


@pytest.fixture(scope="module")
def spans(tokenizer):
    task = TokenClassification(labels=LABELS, aggregation="none")
    model = tiny_model(task)
    stock = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")
    return Predictor(Processor(tokenizer, task), TorchBackend(model, task=task)).as_pipeline(), stock


@pytest.fixture(scope="module")
def classes(tokenizer):
    task = TextClassification(labels=("ham", "spam", "other"))
    model = tiny_model(task)
    stock = pipeline("text-classification", model=model, tokenizer=tokenizer)
    return Predictor(Processor(tokenizer, task), TorchBackend(model, task=task)).as_pipeline(), stock


def rounded(answer):
    if isinstance(answer, dict):
        return {key: round(float(value), 4) if key == "score" else value for key, value in answer.items()}
    return [rounded(one) for one in answer]


def certain_of(tags: dict[str, str], model, tokenizer) -> None:
    """Make a model say one tag for each of some words, and O otherwise."""
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
    ids = {tokenizer.convert_tokens_to_ids(word): model.config.label2id[tag] for word, tag in tags.items()}

    def forward(input_ids=None, **_):
        logits = torch.zeros(*input_ids.shape, model.config.num_labels)
        logits[..., 0] = 2.0
        for token, tag in ids.items():
            logits[..., tag] += 4.0 * (input_ids == token)
        return {"logits": logits}

    model.forward = forward


def test_spans_are_those_of_the_stock_pipeline_where_tags_are_valid(tokenizer) -> None:
    task = TokenClassification(labels=LABELS, aggregation="none")
    model = tiny_model(task)
    tags = {"ana": "B-PERSON", "bob": "B-PERSON", "rome": "B-CITY", "old": "B-PERSON", "john": "I-PERSON"}
    certain_of({**tags, "main": "B-ORG", "street": "I-ORG"}, model, tokenizer)
    stock = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")
    ours = Predictor(Processor(tokenizer, task), TorchBackend(model, task=task)).as_pipeline()
    expected = stock(TEXTS)
    assert sum(map(len, expected)) == 5
    assert rounded(ours(TEXTS)) == rounded(expected)
    assert rounded(ours(TEXTS[0])) == rounded(stock(TEXTS[0]))
    assert list(expected[0][0]) == list(ours(TEXTS[0])[0])
    streamed = ours(text for text in TEXTS)
    assert not isinstance(streamed, list)
    assert rounded(list(streamed)) == rounded(expected)


@pytest.mark.parametrize("inputs", [TEXTS, TEXTS[0], [TEXTS[0]]], ids=["texts", "one text", "a list of one"])
@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}], ids=str)
def test_labels_are_those_of_the_stock_pipeline(classes, inputs, options) -> None:
    ours, stock = classes
    assert rounded(ours(inputs, **options)) == rounded(stock(inputs, **options))


def test_pairs_of_texts_are_those_of_the_stock_pipeline(classes) -> None:
    ours, stock = classes
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    assert rounded(ours([pair, pair])) == rounded(stock([pair, pair]))


def test_the_word_is_what_stands_in_the_text_as_it_was_given(token_processor) -> None:
    model = tiny_model(token_processor.task)
    ours = Predictor(token_processor, TorchBackend(model, task=token_processor.task)).as_pipeline()
    text = "<p>ANA&nbsp;lives in <b>ROME</b></p>"
    answer = ours(text)
    assert answer
    assert [one["word"] for one in answer] == [text[one["start"] : one["end"]] for one in answer]


def test_entities_that_touch_stay_two(tokenizer) -> None:
    """The stock pipeline takes E- and S- for parts of labels that go on, and makes one entity of two that touch."""
    task = TokenClassification(labels=LABELS, aggregation="none", scheme="BIOES")
    model = tiny_model(task)
    certain_of({"ana": "S-PERSON", "bob": "S-PERSON"}, model, tokenizer)
    stock = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")
    ours = Predictor(Processor(tokenizer, task), TorchBackend(model, task=task)).as_pipeline()
    assert [one["word"] for one in ours("ana bob")] == ["ana", "bob"]
    assert [one["word"] for one in stock("ana bob")] == ["ana bob"]


def test_top_k_is_for_classifiers_and_positive(spans, classes) -> None:
    with pytest.raises(InvalidSpecError, match="top_k is 2 for token-classification"):
        spans[0](TEXTS, top_k=2)
    with pytest.raises(InvalidSpecError, match="top_k is 0 for text-classification"):
        classes[0](TEXTS, top_k=0)
