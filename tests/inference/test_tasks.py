"""Tasks: exact targets, exact predictions, how windows are pooled, and gold that cannot be learned from."""

import numpy as np
import pytest
from pydantic import ValidationError

from nlp_inference import Annotation, Document, Processor, TextClassification, TokenClassification
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.tasks import DocumentOutputs, Task

LABELS = ("PERSON", "CITY")
TEXT = "Ana unbelievably lives in Rome"
SPANS = [(0, 3, "PERSON"), (4, 16, "CITY"), (26, 30, "CITY")]
X = IGNORED


def document_of(text, spans):
    gold = {"spans": [{"start": start, "end": end, "label": label} for start, end, label in spans]}
    return Document(raw_text=text, id="d7", gold=gold)


def triples(annotation):
    return [(span.start, span.end, span.label) for span in annotation.spans]


def prediction_of(processor, text, tags):
    """What is decoded when the tokens of `text` get `tags`, with certainty."""
    (encoded,) = processor.encode([Document(raw_text=text)])
    ids = [processor.task.tag_scheme.tags.index(tag) for tag in tags.split()]
    assert len(ids) == len(encoded.token_ids)
    logits = np.eye(len(processor.task.tag_scheme.tags), dtype=np.float32)[ids] * 30
    return decode(processor, encoded, [logits[window.start : window.end] for window in encoded.windows])


def decode(processor, encoded, content):
    """What is decoded when the model answers these logits for the content of each window."""
    rows = processor.rows(encoded)
    outputs = [np.zeros((len(row.input_ids), content[0].shape[-1]), dtype=np.float32) for row in rows]
    for row, output, logits in zip(rows, outputs, content, strict=True):
        output[row.content] = logits
    return processor.task.decode(encoded, rows, [{"logits": output} for output in outputs])


TARGETS = [
    # un ##bel ##ie ##va ##bly is one word of five tokens
    ("BIO", "first", [X, 1, 3, X, X, X, X, 0, 0, 3, X]),
    ("BIO", "mean", [X, 1, 3, 3, 3, 3, 3, 0, 0, 3, X]),
    ("BIO", "max", [X, 1, 3, 3, 3, 3, 3, 0, 0, 3, X]),
    ("BIO", "none", [X, 1, 3, 4, 4, 4, 4, 0, 0, 3, X]),
    ("IO", "none", [X, 1, 2, 2, 2, 2, 2, 0, 0, 2, X]),
    ("BILOU", "first", [X, 4, 8, X, X, X, X, 0, 0, 8, X]),
    ("BIOES", "none", [X, 4, 5, 6, 6, 6, 7, 0, 0, 8, X]),
]


@pytest.mark.parametrize(("scheme", "aggregation", "labels"), TARGETS)
def test_exact_targets_of_spans(tokenizer, scheme, aggregation, labels):
    processor = Processor(tokenizer, TokenClassification(labels=LABELS, scheme=scheme, aggregation=aggregation))
    batch = processor([document_of(TEXT, SPANS)], labels=True)
    assert batch["labels"].tolist() == [labels]


PREDICTIONS = [
    ("BIO", "Ana Bo Rome", "B-PERSON B-PERSON B-CITY", [(0, 3, "PERSON"), (4, 6, "PERSON"), (7, 11, "CITY")]),
    ("BIO", "Ana Bo Rome", "B-PERSON I-PERSON O", [(0, 6, "PERSON")]),
    ("BIOES", "Ana Bo Rome", "B-PERSON E-PERSON O", [(0, 6, "PERSON")]),
    ("BIOES", "Ana Bo Rome", "S-PERSON S-PERSON S-CITY", [(0, 3, "PERSON"), (4, 6, "PERSON"), (7, 11, "CITY")]),
    ("BILOU", "Ana Bo Rome", "B-PERSON L-PERSON U-CITY", [(0, 6, "PERSON"), (7, 11, "CITY")]),
    ("BILOU", "Ana Bo Rome", "U-CITY U-CITY O", [(0, 3, "CITY"), (4, 6, "CITY")]),
    ("IO", "Ana Bo Rome", "I-PERSON I-PERSON I-CITY", [(0, 6, "PERSON"), (7, 11, "CITY")]),
    ("BIO", "Ana  \n Bo Rome", "B-PERSON I-PERSON O", [(0, 9, "PERSON")]),
    ("BIO", "Ana Bo Rome", "O O O", []),
]


@pytest.mark.parametrize(("scheme", "text", "tags", "spans"), PREDICTIONS)
def test_exact_spans_of_tags(tokenizer, scheme, text, tags, spans):
    predicted = prediction_of(Processor(tokenizer, TokenClassification(labels=LABELS, scheme=scheme)), text, tags)
    assert triples(predicted) == spans
    assert [span.score for span in predicted.spans] == pytest.approx([1.0] * len(spans), abs=1e-5)


AGGREGATED = [
    # the logits of O, B-CITY, I-CITY for "rome", "un", "##bel", "##ie", "##va", "##bly"
    ("first", [[0, 9, 0], [9, 0, 0], [0, 9, 0], [0, 9, 0], [0, 9, 0], [0, 9, 0]], [(0, 4)]),
    ("first", [[0, 9, 0], [0, 0, 9], [9, 0, 0], [9, 0, 0], [9, 0, 0], [9, 0, 0]], [(0, 17)]),
    ("mean", [[9, 0, 0], [4, 0, 0], [0, 2, 0], [0, 2, 0], [0, 2, 0], [0, 2, 0]], [(5, 17)]),
    ("mean", [[9, 0, 0], [9, 0, 0], [0, 2, 0], [0, 2, 0], [0, 2, 0], [0, 2, 0]], []),
    ("max", [[9, 0, 0], [4, 0, 0], [0, 5, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]], [(5, 17)]),
    ("none", [[9, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 0, 0], [9, 0, 0]], [(7, 12)]),
]


@pytest.mark.parametrize(("aggregation", "logits", "spans"), AGGREGATED)
def test_the_logits_of_a_word(tokenizer, aggregation, logits, spans):
    processor = Processor(tokenizer, TokenClassification(labels=("CITY",), aggregation=aggregation))
    (encoded,) = processor.encode([Document(raw_text="Rome unbelievably")])
    predicted = decode(processor, encoded, [np.array(logits, dtype=np.float32)])
    assert [(span.start, span.end) for span in predicted.spans] == spans


@pytest.mark.parametrize(
    ("outside_bias", "found"),
    [
        (0.0, [(0, 4, pytest.approx(0.5))]),
        (-1.0, [(0, 4, pytest.approx(5 / (5 + 4 / np.e + 1))), (8, 12, pytest.approx(3 / (3 + 6 / np.e + 1)))]),
        (1.0, []),
    ],
)
def test_a_bias_against_the_outside_finds_more_spans_and_moves_their_scores(tokenizer, outside_bias, found):
    processor = Processor(tokenizer, TokenClassification(labels=("CITY",), outside_bias=outside_bias))
    (encoded,) = processor.encode([Document(raw_text="Rome or Oslo")])
    logits = np.log(np.array([[4, 5, 1], [98, 1, 1], [6, 3, 1]], dtype=np.float32))
    before = logits.copy()
    spans = decode(processor, encoded, [logits]).spans
    assert [(span.start, span.end, span.score) for span in spans] == found
    assert (logits == before).all()


@pytest.mark.parametrize("outside_bias", [-10.5, 11.0, float("nan")])
def test_a_bias_that_no_doubt_of_a_model_needs_is_refused(outside_bias):
    with pytest.raises(ValidationError, match="outside_bias"):
        TokenClassification(labels=("CITY",), outside_bias=outside_bias)


def test_a_score_is_the_mean_probability_of_the_tags_of_a_span(tokenizer):
    processor = Processor(tokenizer, TokenClassification(labels=("CITY",)))
    (encoded,) = processor.encode([Document(raw_text="new york")])
    logits = np.log(np.array([[0.1, 0.8, 0.1], [0.3, 0.1, 0.6]], dtype=np.float32))
    (span,) = decode(processor, encoded, [logits]).spans
    assert (span.start, span.end, span.score) == (0, 8, pytest.approx(0.7))


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([(0, 3, "DOG")], "document 'd7': gold label 'DOG' is not among the labels"),
        ([(0, 16, "CITY"), (4, 16, "CITY")], "document 'd7': gold spans .* overlap, which the flat scheme BIO"),
    ],
)
def test_gold_that_tags_cannot_express_is_refused(tokenizer, spans, said):
    processor = Processor(tokenizer, TokenClassification(labels=LABELS))
    with pytest.raises(InvalidDocumentError, match=said):
        processor([document_of(TEXT, spans)], labels=True)


def test_a_document_without_gold_is_no_document_with_nothing_to_find(tokenizer):
    processor = Processor(tokenizer, TokenClassification(labels=LABELS))
    with pytest.raises(InvalidDocumentError, match="document 'd7' has no gold annotation"):
        processor([Document(raw_text=TEXT, id="d7")], labels=True)
    labels = processor([document_of(TEXT, [])], labels=True)["labels"]
    assert set(labels[0].tolist()) == {0, X}


@pytest.mark.parametrize(
    ("categories", "said"),
    [
        ([], "document 'd7' has 0 gold categories"),
        ([{"label": "ham"}, {"label": "spam"}], "document 'd7' has 2 gold categories"),
        ([{"label": "eggs"}], "document 'd7': gold label 'eggs' is not among the task's 2 labels"),
    ],
)
def test_gold_that_is_not_one_known_label_is_refused(text_processor, categories, said):
    document = Document(raw_text="Hi", id="d7", gold={"categories": categories})
    with pytest.raises(InvalidDocumentError, match=said):
        text_processor([document], labels=True)


def test_exact_targets_of_a_category(text_processor):
    long = Document(raw_text="word " * 40, gold={"categories": [{"label": "spam"}]})
    short = Document(raw_text="word", gold={"categories": [{"label": "ham"}]})
    batch = text_processor([long, short], labels=True)
    assert batch["labels"].tolist() == [1, 1, 1, 0]
    assert len(batch["input_ids"]) == 4


POOLED = [
    # windows that answer for 16 tokens and for 4 say these logits
    ("mean", [[1.0, 0.0], [0.0, 3.0]], [("ham", 0.8, 0.2 * 3.0)]),
    ("max", [[1.0, 0.0], [0.0, 3.0]], [("spam", 1.0, 3.0)]),
    ("first", [[1.0, 0.0], [0.0, 3.0]], [("ham", 1.0, 0.0)]),
]


@pytest.mark.parametrize(("pooling", "logits", "expected"), POOLED)
def test_how_windows_are_pooled(tokenizer, pooling, logits, expected):
    task = TextClassification(labels=("ham", "spam"), pooling=pooling)
    processor = Processor(tokenizer, task, windows={"max_length": 18, "overlap": 0})
    (encoded,) = processor.encode([Document(raw_text="word " * 20)])
    assert [window.owned_end - window.owned_start for window in encoded.windows] == [16, 4]
    outputs = [{"logits": np.array(row, dtype=np.float32)} for row in logits]
    (category,) = task.decode(encoded, processor.rows(encoded), outputs).categories
    ((label, ham, spam),) = expected
    scores = np.exp([ham, spam]) / np.exp([ham, spam]).sum()
    assert (category.label, category.score) == (label, pytest.approx(scores.max(), abs=1e-5))


@pytest.mark.parametrize(
    ("top_k", "labels"), [(1, ["b"]), (2, ["b", "c"]), (None, ["b", "c", "a"]), (9, ["b", "c", "a"])]
)
def test_how_many_labels_are_named(tokenizer, top_k, labels):
    task = TextClassification(labels=("a", "b", "c"), top_k=top_k)
    processor = Processor(tokenizer, task)
    (encoded,) = processor.encode([Document(raw_text="x")])
    outputs = [{"logits": np.array([0, 2, 1], dtype=np.float32)}]
    categories = task.decode(encoded, processor.rows(encoded), outputs).categories
    assert [category.label for category in categories] == labels
    assert sum(category.score for category in categories) <= 1 + 1e-6


@pytest.mark.parametrize("name", ["token-classification", "text-classification"])
@pytest.mark.parametrize("labels", [[], [""], ["A", "B", "A"]])
def test_labels_that_cannot_be_are_refused(name, labels):
    with pytest.raises(InvalidSpecError, match="labels must be a list of distinct, non-empty names"):
        Task.from_spec({name: {"labels": labels}})


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        (TokenClassification(labels=("A",), scheme="BIOES"), {0: "O", 1: "B-A", 2: "I-A", 3: "E-A", 4: "S-A"}),
        (TextClassification(labels=("ham", "spam")), {0: "ham", 1: "spam"}),
    ],
)
def test_what_the_model_is_told(task, settings):
    told = task.model_settings()
    assert told["id2label"] == settings
    assert told["label2id"] == {label: index for index, label in settings.items()}
    assert told["num_labels"] == len(settings)


@pytest.mark.parametrize("name", ["text_processor", "label_set_processor"])
def test_a_subclass_that_revises_a_batch_decoder_does_so_on_the_route_too(request, name):
    processor = request.getfixturevalue(name)
    plain = processor.task

    class OnlyTheFirst(type(plain)):
        """The first category, and nothing else."""

        def decode(self, encoded, rows, outputs):
            return Annotation(categories=super().decode(encoded, rows, outputs).categories[:1])

    encoded = processor.encode([Document(raw_text="Ana")])[0]
    logits = np.full(len(plain.labels), 9, dtype=np.float32)
    outputs = DocumentOutputs(encoded, processor.rows(encoded), [{"logits": logits}])
    revised = OnlyTheFirst(**{**plain.model_dump(), **({"top_k": None} if name == "text_processor" else {})})
    assert [len(one.categories) for one in revised.decode_all([outputs] * 2)] == [1, 1]


def test_a_subclass_that_decodes_otherwise_does_so_on_the_route_too(token_processor):
    class OnlyCities(TokenClassification):
        """Cities, and nothing else."""

        def decode(self, encoded, rows, outputs):
            found = super().decode(encoded, rows, outputs)
            return Annotation(spans=tuple(span for span in found.spans if span.label == "CITY"))

    plain = token_processor.task
    encoded = token_processor.encode([document_of("Ana Rome", [])])[0]
    rows = token_processor.rows(encoded)
    logits = np.eye(len(plain.tag_scheme.tags), dtype=np.float32)[[0, 1, 3, 0]] * 30  # B-PERSON, B-CITY
    answered = DocumentOutputs(encoded, rows, [{"logits": logits}])
    found = [task.decode_all([answered] * 2) for task in (plain, OnlyCities(**plain.model_dump()))]
    assert [[span.label for span in both[1].spans] for both in found] == [["PERSON", "CITY"], ["CITY"]]
