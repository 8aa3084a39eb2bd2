"""The predictor: bad input, failures that stay alone, order and names, and a stream that reads what it needs."""

import json
import shutil
import time

import numpy as np
import pytest
from fakes import RecordingBackend, ScriptedBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import messy_texts
from thorough import examples

from nlp_inference import Document, FailedDocument, Predictor, Processor, TokenClassification
from nlp_inference.document.inputs import UnreadableItem
from nlp_inference.errors import ArtefactError, InvalidDocumentError, InvalidSpecError, PredictionError
from nlp_inference.predict.batching import token_budget_batches
from nlp_inference.transforms import Transform


class Fragile(Transform):
    """Breaks on one word, as a transform may."""

    name = "fragile_of_these_tests"

    def propose(self, text):
        if "boom" in text:
            raise ZeroDivisionError("boom")
        return text


@pytest.fixture(scope="module")
def rome(tokenizer):
    """Finds Rome, and breaks on boom."""
    task = TokenClassification(labels=("CITY",))
    processor = Processor(tokenizer, task, [Fragile()], windows={"max_length": 24, "overlap": 6})
    return Predictor(processor, ScriptedBackend(processor, {"rome": "CITY"}))


def found(document):
    return [document.surface(span) for span in document.predicted.spans]


INPUTS = [
    ("", []),
    (" ", []),
    ("\t\r\n\u00a0 ", []),
    ("\x00", []),
    ("\x00Rome\x00", ["Rome"]),
    ("שלום Rome مرحبا", ["Rome"]),
    ("\u202eRome", ["Rome"]),
    ("Ro\u0301me", ["Ro\u0301me"]),
    ("\u0301\u0301\u0301", []),
    ("👩\u200d👩\u200d👧 Rome 🇫🇷", ["Rome"]),
    ("a" * 10_000, []),
    ("Rome " * 100, ["Rome"] * 100),
    ("Rome\r\nRome", ["Rome", "Rome"]),
]


@pytest.mark.parametrize(("text", "surfaces"), INPUTS)
def test_strange_texts_are_predicted(rome, text, surfaces):
    (document,) = rome.predict([text])
    assert document.raw_text == text
    assert found(document) == surfaces


def test_a_million_characters_are_read_to_the_end(rome):
    text = "word " * 199_999 + "Rome!"
    began = time.perf_counter()
    (document,) = rome.predict([text])
    assert len(text) == 1_000_000
    assert [(span.start, span.end) for span in document.predicted.spans] == [(999_995, 999_999)]
    assert document.coverage.complete
    assert document.coverage.windows > 10_000
    assert time.perf_counter() - began < 120


BAD = [
    ("a\ud800b", "0", "InvalidDocumentError", "lone surrogate"),
    ({"raw_text": "\udc00", "id": "d7"}, "d7", "InvalidDocumentError", "lone surrogate"),
    (
        {"text": "Rome", "id": "d7", "note": "\ud83d"},
        "d7",
        "InvalidDocumentError",
        "metadata: its JSON has a lone surrogate",
    ),
    (
        {"text": "Rome", "id": "d7", "\udc00": 1},
        "d7",
        "InvalidDocumentError",
        "metadata: its JSON has a lone surrogate",
    ),
    ({"id": "d7"}, "d7", "InvalidDocumentError", "raw_text"),
    ({"raw_text": "Hi", "gold": {"colour": 1}, "id": "d7"}, "d7", "InvalidDocumentError", "colour"),
    ({"text": None, "id": "d7"}, "d7", "InvalidDocumentError", "no 'text': its value is null"),
    ({"raw_text": 5}, "0", "InvalidDocumentError", "raw_text"),
    (Document(raw_text="boom", id="d7"), "d7", "ZeroDivisionError", "boom"),
    ("boom", "0", "ZeroDivisionError", "boom"),
    (Document(raw_text="Hi", raw_text_pair="x " * 99, id="d7"), "d7", "InvalidDocumentError", "text pair"),
    (None, "0", "InvalidDocumentError", "NoneType"),
    (5, "0", "InvalidDocumentError", "int"),
    (b"Rome", "0", "InvalidDocumentError", "bytes"),
    (["Rome"], "0", "InvalidDocumentError", "list"),
]


@pytest.mark.parametrize(("item", "name", "error", "said"), BAD)
def test_a_document_that_fails_is_recorded_and_takes_no_other_down(rome, item, name, error, said):
    failed, before, after = rome.predict([item, "in Rome", "Rome"], on_error="record")
    assert isinstance(failed, FailedDocument)
    assert (failed.id, failed.error) == (name, error)
    assert said in failed.message
    assert FailedDocument.model_validate_json(failed.model_dump_json()) == failed
    assert [found(before), found(after)] == [["Rome"], ["Rome"]]
    assert [before.id, after.id] == ["1", "2"]


@pytest.mark.parametrize(("item", "name", "error", "said"), BAD)
def test_a_document_that_fails_is_raised_with_its_name_and_cause(rome, item, name, error, said):
    with pytest.raises(PredictionError, match=f"document '{name}'.*{said}") as caught:
        rome.predict(["Rome", item] if name == "d7" else [item])
    assert type(caught.value.__cause__).__name__ == error


def test_a_model_that_answers_no_number_fails_for_that_document_and_does_not_find_nothing(rome):
    class Broken(ScriptedBackend):
        def forward(self, batch):
            logits = super().forward(batch)["logits"]
            logits[(batch["input_ids"] == self.poison).any(axis=1)] = np.nan
            return {"logits": logits}

    backend = Broken(rome.processor, {"rome": "CITY", "paris": "CITY"})
    (backend.poison,) = rome.processor.tokenizer.convert_tokens_to_ids(["poison"])
    sound, broken = Predictor(rome.processor, backend).predict(["in Rome", "poison in Paris"], on_error="record")
    assert found(sound) == ["Rome"]
    assert isinstance(broken, FailedDocument)
    assert "'logits' contains NaN" in broken.message


def test_documents_keep_their_names_and_their_order(rome):
    items = [Document(raw_text="Rome " * count, id=f"d{count}") for count in (9, 1, 30, 0, 4)]
    documents = rome.predict([*items, "Rome", {"raw_text": "x", "id": "m"}, {"raw_text": "y"}])
    assert [document.id for document in documents] == ["d9", "d1", "d30", "d0", "d4", "5", "m", "7"]
    assert [len(document.predicted.spans) for document in documents] == [9, 1, 30, 0, 4, 1, 0, 0]


def test_gold_and_metadata_travel_along_and_change_nothing(rome):
    gold = {"spans": [{"start": 0, "end": 2, "label": "CITY"}]}
    (document,) = rome.predict([{"raw_text": "Rome", "gold": gold, "metadata": {"a": 1}}])
    assert document.gold.spans[0].end == 2
    assert document.metadata == {"a": 1}
    assert found(document) == ["Rome"]


def test_predicting_a_prediction_again_gives_the_same(rome):
    once = rome.predict(["in Rome"])
    assert rome.predict([document.unannotated() for document in once]) == once


def test_nothing_gives_nothing(rome):
    assert rome.predict([]) == []
    assert list(rome.stream(iter(()))) == []


@pytest.mark.parametrize("single", ["in Rome", {"raw_text": "in Rome"}, Document(raw_text="in Rome")])
def test_a_single_text_gives_a_single_document(rome, single):
    [expected] = rome.predict([single])
    assert rome.predict(single) == rome(single) == expected
    assert rome.predict(single, on_error="record") == expected
    with pytest.raises(TypeError, match=r"got the single one .*Rome.*; put it in a list"):
        rome.stream(single)


def test_a_single_text_that_fails_raises_or_is_recorded(rome):
    broken = {"text": 3, "id": "broken"}
    with pytest.raises(PredictionError, match="broken"):
        rome.predict(broken)
    failed = rome.predict(broken, on_error="record")
    assert (type(failed), failed.id) == (FailedDocument, "broken")


def test_bytes_are_refused(rome):
    with pytest.raises(TypeError, match=r"got the single one b'Rome'; put it in a list"):
        rome.predict(b"Rome")


def test_an_unknown_way_with_errors_is_refused(rome):
    with pytest.raises(InvalidSpecError, match="on_error is 'ignore'; write 'raise' or 'record'"):
        rome.stream(["Rome"], on_error="ignore")


def test_the_error_of_a_document_names_it_once(rome):
    with pytest.raises(PredictionError) as caught:
        rome.predict(["a\ud800b"])
    assert str(caught.value).count("document '0'") == 1


def test_a_name_that_no_file_can_hold_is_recorded_in_escapes(rome):
    [failed] = rome.predict([{"id": "\ud800", "raw_text": 5}], on_error="record")
    assert json.loads(failed.model_dump_json())["id"] == "\\ud800"


class Choosy(ScriptedBackend):
    """Refuses every batch with a poisoned row in it, as a model does whose ids or memory run out."""

    poison = -1

    def forward(self, batch):
        if (batch["input_ids"] == self.poison).any():
            raise IndexError("index out of range in self")
        return super().forward(batch)


@pytest.fixture
def choosy(rome):
    backend = Choosy(rome.processor, {"rome": "CITY"})
    (backend.poison,) = rome.processor.tokenizer.convert_tokens_to_ids(["poison"])
    return Predictor(rome.processor, backend)


def test_a_row_that_the_model_fails_of_fails_its_document_alone(choosy):
    items = ["in Rome", "poison in Rome", "Rome " * 30, "word " * 40 + "poison", "Rome"]
    results = choosy.predict(items, on_error="record")
    failed = [(result.id, result.error) for result in results if isinstance(result, FailedDocument)]
    assert failed == [("1", "IndexError"), ("3", "IndexError")]
    assert [len(found(results[index])) for index in (0, 2, 4)] == [1, 30, 1]


def test_a_row_that_the_model_fails_of_is_raised_with_its_name(choosy):
    stream = choosy.stream(["Rome", Document(raw_text="poison", id="d7")])
    assert found(next(stream)) == ["Rome"]
    with pytest.raises(PredictionError, match="document 'd7': index out of range") as caught:
        next(stream)
    assert isinstance(caught.value.__cause__, IndexError)


def test_a_document_whose_rows_cannot_be_made_fails_alone(rome, monkeypatch):
    rows = type(rome.processor).rows

    def fragile(processor, encoded):
        if encoded.document.id == "1":
            raise ZeroDivisionError("no rows")
        return rows(processor, encoded)

    monkeypatch.setattr(type(rome.processor), "rows", fragile)
    before, failed, after = rome.predict(["Rome"] * 3, on_error="record")
    assert (failed.id, failed.message) == ("1", "no rows")
    assert [found(before), found(after)] == [["Rome"], ["Rome"]]


def test_an_unreadable_item_fails_under_its_name(rome):
    bad = UnreadableItem("in:2", InvalidDocumentError("no JSON"))
    _, failed, _ = rome.predict(["Rome", bad, "Rome"], on_error="record")
    assert (failed.id, failed.error, failed.message) == ("in:2", "InvalidDocumentError", "no JSON")
    with pytest.raises(PredictionError, match="document 'in:2': no JSON"):
        rome.predict([bad])


def test_what_a_source_gave_before_it_broke_is_predicted(rome):
    def source():
        yield from ["Rome", "in Rome"]
        raise OSError("the disk is gone")

    stream = rome.stream(source())
    assert [found(next(stream)) for _ in range(2)] == [["Rome"], ["Rome"]]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)


@pytest.mark.extra
def test_how_to_reach_the_hub_is_passed_on_to_all_that_is_loaded(saved_model, monkeypatch, tmp_path):
    asked = []

    def downloaded(repo_id, **options):
        asked.append((repo_id, options))
        return str(saved_model)

    monkeypatch.setattr("nlp_inference.hub.snapshot_download", downloaded)
    given = {"revision": "v1", "token": "secret", "cache_dir": str(tmp_path), "local_files_only": True}
    Predictor.from_pretrained("org/model", **given)
    [(repo_id, options)] = asked  # one download, so that processor and weights are of one commit
    assert (repo_id, {name: options[name] for name in given}) == ("org/model", given)
    Processor.from_pretrained("org/model", **given)
    assert [{name: options[name] for name in given} for _, options in asked] == [given, given]


@pytest.fixture
def counted():
    """A source of short texts without end, and how many were taken."""
    taken = []

    def source(text="Rome"):
        while True:
            taken.append(None)
            yield text

    return source, taken


def test_a_stream_reads_a_bounded_number_of_documents_ahead(rome, counted, monkeypatch):
    monkeypatch.setattr("nlp_inference.document.inputs.LOOK_AHEAD_DOCUMENTS", 8)
    source, taken = counted
    stream = rome.stream(source())
    assert len(taken) == 0
    for number in range(40):
        assert next(stream).id == str(number)
        assert len(taken) == 8 * (number // 8 + 2)


def test_a_stream_reads_a_bounded_number_of_characters_ahead(rome, counted, monkeypatch):
    monkeypatch.setattr("nlp_inference.document.inputs.LOOK_AHEAD_CHARACTERS", 100)
    source, taken = counted
    stream = rome.stream(source("Rome " * 10))
    next(stream)
    assert len(taken) == 4


def test_what_came_before_a_failure_in_a_stream_is_given_first(rome, monkeypatch):
    monkeypatch.setattr("nlp_inference.document.inputs.LOOK_AHEAD_DOCUMENTS", 2)
    stream = rome.stream(["Rome", "Rome", "Rome", "boom", "Rome"])
    assert [next(stream).id for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(PredictionError, match="document '3'"):
        next(stream)


def test_batches_hold_the_token_budget_and_the_longest_rows_come_first(token_processor):
    backend = RecordingBackend(token_processor, token_budget=60)
    Predictor(token_processor, backend).predict(["word " * count for count in (1, 20, 1, 9, 20, 1, 20)])
    shapes = [batch["input_ids"].shape for batch in backend.batches]
    assert shapes == [(1, 22), (2, 22), (1, 11), (3, 3)]


def test_many_texts_are_batched_as_tightly_as_if_they_were_sorted_at_once(token_processor):
    texts = ["word " * (1 + 13 * number % 20) for number in range(512)]
    backend = RecordingBackend(token_processor, token_budget=256)
    Predictor(token_processor, backend).predict(texts)
    lengths = [int(length) for batch in backend.batches for length in batch["attention_mask"].sum(axis=1)]
    assert len(lengths) == 512
    assert sum(batch["input_ids"].size for batch in backend.batches) <= 1.02 * sum(lengths)
    assert len(backend.batches) <= 4 + len(list(token_budget_batches(lengths, 256)))


def test_many_texts_come_back_at_their_places_whatever_fails_among_them(rome):
    texts = [("in Rome " if number % 3 else "boom ") + "word " * (17 * number % 41) for number in range(300)]
    results = rome.predict(texts, on_error="record")
    assert [result.id for result in results] == [str(number) for number in range(300)]
    for text, result in zip(texts, results, strict=True):
        assert isinstance(result, FailedDocument) == text.startswith("boom")
        if isinstance(result, Document):
            assert result.raw_text == text
            assert [(span.start, span.end) for span in result.predicted.spans] == [(3, 7)]


@settings(max_examples=examples(200))
@given(items=st.lists(messy_texts | st.sampled_from(["boom", "a\ud800", None, {"id": "x"}]), max_size=8))
def test_every_item_gets_its_answer_at_its_place(rome, items):
    results = rome.predict(items, on_error="record")
    assert len(results) == len(items)
    for item, result in zip(items, results, strict=True):
        sound = isinstance(item, str) and "boom" not in item and "\ud800" not in item
        assert isinstance(result, Document) == sound
        assert not sound or result.raw_text == item


@pytest.mark.extra
def test_a_saved_model_predicts_from_its_folder(saved_model):
    loaded = Predictor.from_pretrained(saved_model, device="cpu")
    one, other = loaded.predict(["Ana lives in Rome"] * 2)
    assert one.predicted == other.predicted
    assert not loaded.backend.model.training


@pytest.mark.extra
def test_a_model_of_other_labels_than_its_processor_is_refused(saved_model, tokenizer, tmp_path):
    folder = shutil.copytree(saved_model, tmp_path / "mixed")
    Processor(tokenizer, TokenClassification(labels=("OTHER", "CITY"))).save_pretrained(folder)
    with pytest.raises(ArtefactError, match="they were not saved together"):
        Predictor.from_pretrained(folder)


def test_the_error_of_a_bad_document_is_also_a_value_error():
    assert issubclass(InvalidDocumentError, ValueError)


@pytest.mark.extra
def test_the_precision_auto_is_that_of_the_saved_weights(saved_model, tmp_path):
    assert Predictor.from_pretrained(saved_model, dtype="auto").backend.dtype == "float32"
    folder = shutil.copytree(saved_model, tmp_path / "half")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    assert Predictor.from_pretrained(folder, dtype="auto").backend.dtype == "bfloat16"
    assert Predictor.from_pretrained(folder).backend.dtype == "float32"
