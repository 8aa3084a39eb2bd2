"""Law 6: the collator's batch without its labels is bit for bit the batch that the predictor gives to the model."""

import numpy as np
import pytest
import torch
from fakes import RecordingBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chains, flat_spans, messy_texts, sentences
from thorough import examples

from nlp_inference import (
    Annotation,
    Category,
    Document,
    MultiLabelClassification,
    MultiTask,
    OrdinalRegression,
    Predictor,
    Processor,
    TextClassification,
    TextRegression,
    TokenClassification,
)
from nlp_training.batches.collator import DocumentCollator

LABELS = ("PERSON", "CITY")


@st.composite
def gold_documents(draw):
    raw = draw(sentences | messy_texts)
    spans = draw(flat_spans(len(raw), LABELS))
    categories = (Category(label=draw(st.sampled_from(LABELS))),)
    gold = Annotation(spans=spans, categories=categories, values={"stars": len(raw) / 7})
    heads = draw(st.sets(st.sampled_from(["slots", "topic"]), min_size=1))
    gold = gold.model_copy(update={"heads": dict.fromkeys(sorted(heads), gold)})
    return Document(raw_text=raw, raw_text_pair=draw(st.none() | st.sampled_from(["", "Who lives?"])), gold=gold)


def collated(processor, documents):
    batch = DocumentCollator(processor)(documents)
    heads = [head for head in processor.task.tasks if head]
    for head in heads:
        assert len(batch.pop(f"{head}_present")) == len(batch["input_ids"])
        batch.pop(f"{head}_labels", None)
    if heads:
        return {name: tensor.numpy() for name, tensor in batch.items()}
    labels = batch.pop("labels")
    assert labels.dtype == (torch.float32 if processor.task.needs in ("values", "categories", "rank") else torch.int64)
    assert len(labels) == len(batch["input_ids"])
    return {name: tensor.numpy() for name, tensor in batch.items()}


def assert_bit_for_bit(one, other):
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype == np.int64
        assert one[name].shape == other[name].shape
        assert one[name].tobytes() == other[name].tobytes()


TASKS = [
    TokenClassification(labels=LABELS),
    TextClassification(labels=LABELS),
    MultiLabelClassification(labels=LABELS),
    OrdinalRegression(labels=LABELS),
    TextRegression(names=("stars", "votes"), scaling="none"),
    MultiTask(heads={"slots": TokenClassification(labels=LABELS), "topic": TextClassification(labels=LABELS)}),
]


@pytest.mark.parametrize("task", TASKS, ids=repr)
@settings(max_examples=examples(250))
@given(documents=st.lists(gold_documents(), min_size=1, max_size=5), chain=chains)
def test_law_6_the_model_sees_in_serving_what_it_saw_in_training(tokenizer, task, documents, chain):
    processor = Processor(tokenizer, task, chain, windows={"max_length": 96, "overlap": 4})
    backend = RecordingBackend(processor, token_budget=10**9)
    Predictor(processor, backend).predict([document.unannotated() for document in documents])
    (served,) = backend.batches
    trained = collated(processor, documents)
    longest_first = np.argsort(-trained["attention_mask"].sum(axis=1), kind="stable")
    assert_bit_for_bit({name: np.ascontiguousarray(array[longest_first]) for name, array in trained.items()}, served)


@settings(max_examples=examples(100))
@given(texts=st.lists(sentences | messy_texts, min_size=1, max_size=5), chain=chains)
def test_law_6_a_model_that_writes_reads_the_same_batch(generation_processor, texts, chain):
    windows = {"max_length": 24, "on_overflow": "truncate"}
    processor = Processor(generation_processor.tokenizer, generation_processor.task, chain, windows=windows)
    gold = Annotation(generated=("a target",))
    documents = [Document(raw_text=text, gold=gold) for text in texts]
    trained = collated(processor, documents)
    served = processor([document.unannotated() for document in documents])
    assert_bit_for_bit(trained, dict(served))


@settings(max_examples=examples(250))
@given(documents=st.lists(gold_documents(), min_size=1, max_size=4), budget=st.sampled_from([1, 40, 90]))
def test_law_6_every_row_is_the_same_under_any_batching(token_processor, documents, budget):
    backend = RecordingBackend(token_processor, token_budget=budget)
    Predictor(token_processor, backend).predict([document.unannotated() for document in documents])
    rows = [row_of(batch, index) for batch in backend.batches for index in range(len(batch["input_ids"]))]
    trained = collated(token_processor, documents)
    assert sorted(rows) == sorted(row_of(trained, index) for index in range(len(trained["input_ids"])))
    for batch in backend.batches:
        assert len(batch["input_ids"]) == 1 or batch["input_ids"].size <= budget


def row_of(batch, index):
    length = int(batch["attention_mask"][index].sum())
    assert not batch["attention_mask"][index, length:].any()
    return [(name, array[index, :length].tolist()) for name, array in sorted(batch.items())]
