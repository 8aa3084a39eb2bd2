"""Law 7: a text that fits one window predicts the same with and without windowing; all is covered, or reported."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chains, messy_texts, sentences
from thorough import examples
from tiny_models import LABELS, tiny_model

from nlp_inference import (
    CrfTokenClassification,
    Document,
    HierarchicalClassification,
    MultiLabelClassification,
    MultiTask,
    OrdinalRegression,
    Predictor,
    Processor,
    QuestionAnswering,
    RelationExtraction,
    SpanClassification,
    TextClassification,
    TextRegression,
    TokenClassification,
)
from nlp_inference.backends.torch import TorchBackend

TASKS = [
    TokenClassification(labels=LABELS),
    TokenClassification(labels=LABELS, scheme="BIOES", aggregation="mean"),
    CrfTokenClassification(labels=LABELS),
    SpanClassification(labels=LABELS),
    QuestionAnswering(no_answer_threshold=None),
    RelationExtraction(labels=("at", "of"), span_labels=LABELS, inverses={"at": "of"}, max_spans=8, max_relations=8),
    TextClassification(labels=LABELS, pooling="mean", top_k=None),
    TextClassification(labels=LABELS, pooling="max", top_k=None),
    HierarchicalClassification(labels=("a", "a/b", "c/d"), threshold=0.4, top_k=None),
    OrdinalRegression(labels=LABELS),
    MultiLabelClassification(labels=LABELS, thresholds={"CITY": 0.4}),
    TextRegression(names=LABELS, offsets=(1, 2), scales=(3, 4)),
    MultiTask(heads={"slots": TokenClassification(labels=LABELS), "topic": TextClassification(labels=LABELS)}),
]


@pytest.fixture(scope="module", params=TASKS, ids=repr)
def task_and_backend(request):
    return request.param, TorchBackend(tiny_model(request.param), task=request.param)


@settings(max_examples=60)
@given(text=messy_texts | sentences)
def test_law_7_a_text_that_fits_predicts_the_same_however_windows_are_set(tokenizer, task_and_backend, text):
    task, backend = task_and_backend
    document = Document(raw_text=text, raw_text_pair="Who?" if task.needs_pair else None)
    layout = Processor(tokenizer, task).layout
    (whole,) = Processor(tokenizer, task).encode([document])
    around = layout.max_length - layout.capacity(None if whole.pair_ids is None else len(whole.pair_ids))
    fits = min(512, len(whole.token_ids) + around)
    predictions = [
        Predictor(Processor(tokenizer, task, windows=windows), backend).predict([document])[0]
        for windows in (
            None,
            {"max_length": max(around + 1, fits), "overlap": 0},
            {"max_length": max(around + 1, fits), "overlap": max(0, fits - around) // 2},
            {"max_length": max(around + 1, fits), "overlap": 0, "on_overflow": "truncate"},
        )
    ]
    assert all(document == predictions[0] for document in predictions)
    assert predictions[0].coverage.windows == 1
    assert not predictions[0].coverage.truncated


@settings(max_examples=examples(800))
@given(
    text=messy_texts | sentences,
    chain=chains,
    max_length=st.integers(3, 20),
    overlap=st.integers(0, 5),
    overflow=st.sampled_from(["split", "truncate"]),
)
def test_law_7_every_character_is_read_or_reported(tokenizer, text, chain, max_length, overlap, overflow):
    windows = {"max_length": max_length, "overlap": min(overlap, (max_length - 2) // 2), "on_overflow": overflow}
    processor = Processor(tokenizer, TASKS[0], chain, windows=windows)
    (encoded,) = processor.encode([Document(raw_text=text)])
    document, coverage = encoded.document, encoded.coverage()
    read_tokens = {token for window in encoded.windows for token in range(window.start, window.end)}
    read = {at for token in read_tokens for at in range(*encoded.offsets[token])}
    unread_raw = {at for start, end in coverage.unread for at in range(start, end)}
    for at, character in enumerate(document.text):
        if not character.isspace() and at not in read:
            inserted_or_unread = range(*document.aligned.alignment.to_raw(at, at + 1))  # empty if it was inserted
            assert unread_raw.issuperset(inserted_or_unread)
    assert coverage.truncated == (len(read_tokens) < len(encoded.token_ids))
    assert coverage.truncated is False or overflow == "truncate"
    assert (coverage.characters, coverage.windows) == (len(text), len(encoded.windows))
    left_out = (coverage.unread, coverage.deleted, coverage.unknown)
    assert coverage.complete == (not coverage.truncated and not any(left_out))


@settings(max_examples=examples(400))
@given(text=messy_texts | sentences, max_length=st.integers(3, 20))
def test_law_7_nothing_is_reported_unread_that_was_read(tokenizer, text, max_length):
    processor = Processor(tokenizer, TASKS[0], windows={"max_length": max_length, "overlap": 0})
    (encoded,) = processor.encode([Document(raw_text=text)])
    read = {at for start, end in encoded.offsets.tolist() for at in range(start, end)}
    unread = [at for start, end in encoded.coverage().unread for at in range(start, end)]
    assert read.isdisjoint(unread)
    assert len(set(unread)) == len(unread)
    assert {at for at, character in enumerate(text) if not character.isspace()} <= read.union(unread)


@settings(max_examples=examples(400))
@given(text=sentences, max_length=st.integers(6, 30), data=st.data())
def test_law_7_every_token_is_answered_for_once(tokenizer, text, max_length, data):
    overlap = data.draw(st.integers(0, (max_length - 2) // 2))
    processor = Processor(tokenizer, TASKS[0], windows={"max_length": max_length, "overlap": overlap})
    (encoded,) = processor.encode([Document(raw_text=text)])
    owned = [token for window in encoded.windows for token in range(window.owned_start, window.owned_end)]
    assert owned == list(range(len(encoded.token_ids)))
    assert all(one.start <= one.owned_start <= one.owned_end <= one.end for one in encoded.windows)
    assert all(len(row.input_ids) <= max_length for row in processor.rows(encoded))
