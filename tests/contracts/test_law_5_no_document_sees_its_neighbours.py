"""Law 5: a prediction does not depend on its neighbours, on batch size, order or padding."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import messy_texts, sentences
from thorough import examples
from tiny_models import tiny_model

from nlp_inference import Annotation, Category, Document, Predictor
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.tasks import DocumentOutputs

texts = st.lists(sentences | messy_texts, min_size=1, max_size=6)
budgets = st.sampled_from([1, 24, 50, 100, 333, 4096])


PROCESSORS = [
    "token_processor",
    "text_processor",
    "label_set_processor",
    "crf_processor",
    "span_processor",
    "regression_processor",
    "ordinal_processor",
    "relation_processor",
    "multi_processor",
]


@pytest.fixture(scope="module", params=PROCESSORS)
def predictor(request):
    processor = request.getfixturevalue(request.param)
    return Predictor(processor, TorchBackend(tiny_model(processor.task), task=processor.task))


def predict(predictor, items, budget):
    return Predictor(predictor.processor, predictor.backend, token_budget=budget).predict(items)


def assert_same(one, other):
    assert one.raw_text == other.raw_text
    assert one.coverage == other.coverage
    found, found_again = one.predicted.merged(), other.predicted.merged()
    pairs = list(zip(found.spans, found_again.spans, strict=True))
    assert all((a.start, a.end, a.label) == (b.start, b.end, b.label) for a, b in pairs)
    assert [(a.head, a.tail, a.label) for a in found.relations] == [
        (b.head, b.tail, b.label) for b in found_again.relations
    ]
    assert found.values == pytest.approx(found_again.values, abs=1e-4)
    pairs += zip(found.categories, found_again.categories, strict=True)
    assert all(a.label == b.label and a.score == pytest.approx(b.score, abs=1e-5) for a, b in pairs)
    assert found.label_scores == pytest.approx(found_again.label_scores, abs=1e-5)


@settings(max_examples=examples(150))
@given(items=texts, one=budgets, other=budgets, seed=st.randoms(use_true_random=False))
def test_law_5_order_and_batch_size_change_nothing(predictor, items, one, other, seed):
    order = list(range(len(items)))
    seed.shuffle(order)
    together = predict(predictor, items, one)
    shuffled = predict(predictor, [items[position] for position in order], other)
    for place, position in enumerate(order):
        assert_same(together[position], shuffled[place])


@settings(max_examples=examples(150))
@given(items=texts, budget=budgets, data=st.data())
def test_law_5_neighbours_change_nothing(predictor, items, budget, data):
    position = data.draw(st.integers(0, len(items) - 1))
    (alone,) = predictor.predict([items[position]])
    assert_same(predict(predictor, items, budget)[position], alone)


@settings(max_examples=5)
@given(items=texts, budget=budgets, seed=st.randoms(use_true_random=False))
def test_law_5_a_text_that_is_written_does_not_depend_on_its_neighbours(generation_processor, items, budget, seed):
    task = generation_processor.task
    predictor = Predictor(generation_processor, TorchBackend(tiny_model(task), task=task))
    order = list(range(len(items)))
    seed.shuffle(order)
    shuffled = predict(predictor, [items[position] for position in order], budget)
    for place, position in enumerate(order):
        [alone] = predictor.predict([items[position]])
        assert (alone.predicted, alone.coverage) == (shuffled[place].predicted, shuffled[place].coverage)


HAM = Annotation(categories=(Category(label="ham"),))
GOLD = {"spans": Annotation(), "answers": Annotation(), "category": HAM, "categories": HAM, "rank": HAM}
GOLD["relations"] = Annotation()
GOLD["values"] = Annotation(values={"stars": 4})
"""Something that perfect outputs can be asked for, whose shapes are those of a model's."""


def gold_for(task):
    heads = {name: GOLD[one.needs] for name, one in task.tasks.items()}
    return heads[""] if "" in heads else Annotation(heads=heads)


def answered(processor, texts, seed):
    """The texts, each with answers that are drawn by chance."""
    random = np.random.default_rng(seed)
    found = []
    pair = "Who?" if processor.task.needs_pair else None
    for encoded in processor.encode([Document(raw_text=text, raw_text_pair=pair) for text in texts]):
        rows = processor.rows(encoded)
        with_gold = replace(encoded, document=encoded.document.with_gold(gold_for(processor.task)))
        perfect = processor.task.perfect_outputs(with_gold, rows)
        drawn = [{name: random.normal(scale=2, size=array.shape) for name, array in one.items()} for one in perfect]
        outputs = [{name: array.astype(np.float32) for name, array in one.items()} for one in drawn]
        found.append(DocumentOutputs(encoded, rows, outputs))
    return found


@pytest.mark.parametrize("name", [*PROCESSORS, "question_processor"])
@settings(max_examples=examples(150))
@given(texts=texts, seed=st.integers(0, 1000))
def test_law_5_documents_that_are_decoded_together_keep_every_bit(name, request, texts, seed):
    processor = request.getfixturevalue(name)
    documents = answered(processor, texts, seed)
    assert processor.task.decode_all(documents) == [processor.task.decode(*one) for one in documents]


def test_law_5_the_tiny_models_of_these_tests_do_predict_something(predictor):
    documents = predictor.predict(["Ana lives in Rome and O'Neil in Łódź"] * 2)
    found = [document.predicted.merged() for document in documents]
    assert all(one.spans or one.categories or one.values for one in found)
