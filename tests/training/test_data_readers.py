"""JSON Lines become Documents, and what cannot is named by file and line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference.document import Annotation, Category, Document, Span
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import read_jsonl
from nlp_training.data.records import record_to_document


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*records: object, name: str = "train.jsonl") -> str:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    Path(name).write_text("\n".join(lines), encoding="utf-8", newline="")
    return name


def read(*records: object, columns=None) -> list[Document]:
    return list(read_jsonl(write(*records), columns=columns))


@pytest.mark.parametrize(
    ("record", "text", "gold"),
    [
        (
            {"text": "Ana in Rome", "spans": [{"start": 7, "end": 11, "label": "CITY"}]},
            "Ana in Rome",
            Annotation(spans=(Span(start=7, end=11, label="CITY"),)),
        ),
        ({"text": "", "spans": []}, "", Annotation()),
        ({"text": "hi", "label": "greeting"}, "hi", Annotation(categories=(Category(label="greeting"),))),
        ({"text": "hi", "label": 3}, "hi", Annotation(categories=(Category(label="3"),))),
        ({"text": "hi", "label": True}, "hi", Annotation(categories=(Category(label="true"),))),
        ({"text": "hi", "labels": ["a", "b"]}, "hi", Annotation(categories=(Category(label="a"), Category(label="b")))),
        ({"text": "hi", "labels": []}, "hi", Annotation()),
        (
            {"tokens": ["New", "York", "!"], "tags": ["B-LOC", "I-LOC", "O"]},
            "New York !",
            Annotation(spans=(Span(start=0, end=8, label="LOC"),)),
        ),
        (
            {"tokens": ["New", "York", "!"], "ner_tags": ["B-LOC", "I-LOC", "O"], "text": "New  York!"},
            "New  York!",
            Annotation(spans=(Span(start=0, end=9, label="LOC"),)),
        ),
        ({"text_a": "one", "text_b": "two", "score": 2}, "one", Annotation(values={"score": 2.0})),
        ({"text": "hi"}, "hi", None),
        ({"text": "hi", "label": None}, "hi", None),
        (
            {"text": "hi", "spans": [{"start": 0, "end": 2, "label": "X", "note": 1}], "label": "a"},
            "hi",
            Annotation(spans=(Span(start=0, end=2, label="X"),), categories=(Category(label="a"),)),
        ),
    ],
)
def test_every_shape_of_record(in_folder, record, text, gold):
    [document] = read(record)
    assert (document.raw_text, document.gold, document.id) == (text, gold, "train.jsonl:1")


def test_a_pair_has_two_texts(in_folder):
    [document] = read({"id": "p", "text_a": "A man sleeps.", "text_b": "He is awake.", "label": "contradiction"})
    assert (document.raw_text, document.raw_text_pair) == ("A man sleeps.", "He is awake.")


def test_a_document_reads_its_own_json(in_folder):
    document = Document(id="d", raw_text="Ana", gold=Annotation(spans=(Span(start=0, end=3, label="P"),)))
    assert [again.gold for again in read(document.model_dump_json())] == [document.gold]


def test_columns_name_the_keys_and_the_rest_is_kept(in_folder):
    record = {"key": 7, "utterance": "hi", "intent": "greeting", "text": "no", "channel": "mail"}
    [document] = read(record, columns={"id": "key", "text": "utterance", "label": "intent"})
    assert (document.id, document.raw_text, document.gold.categories[0].label) == ("7", "hi", "greeting")
    assert document.metadata == {"text": "no", "channel": "mail", "read_from": "train.jsonl:1"}


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\r", "\x0b", "\x0c", "\x1c"])
def test_only_a_newline_ends_a_line(in_folder, separator):
    record = json.dumps({"text": f"one{separator}two", "label": "a"}, ensure_ascii=False)
    documents = read(record, record)
    assert [document.raw_text for document in documents] == [f"one{separator}two"] * 2


def test_blank_lines_windows_line_ends_and_a_byte_order_mark(in_folder):
    Path("train.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n\r\n \n{"text": "b"}')
    assert [(d.raw_text, d.id) for d in read_jsonl("train.jsonl")] == [("a", "train.jsonl:1"), ("b", "train.jsonl:4")]


def test_records_are_read_one_by_one(in_folder):
    documents = read_jsonl(write({"text": "a"}, "no json"))
    assert next(documents).raw_text == "a"
    with pytest.raises(InvalidDocumentError):
        next(documents)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"text": "a"', "not valid JSON: "),
        ('{"text": "a", "label": "x", "label": "y"}', "the key 'label' occurs twice in an object"),
        ('{"text": "a", "spans": [{"start": 0, "end": 1, "end": 2, "label": "x"}]}', "the key 'end' occurs twice"),
        ('{"text": "a", "score": NaN}', "NaN is not a JSON number"),
        ('["text"]', "the line contains ['text']; write one JSON object per line"),
        ("3", "the line contains 3; "),
        ("[" * 100_000, "it is nested too deeply, in more than 100 levels"),
        (
            {"txt": "a", "label": "b"},
            "there is neither a text nor tokens; the columns are: 'txt', 'label'. Write",
        ),
        ({"text": None}, "the text is missing"),
        ({"text": 5}, "the text is 5; write a string"),
        ('{"text": "\\ud800"}', "lone surrogate"),
        ('{"text": "a", "label": "\\ud83d"}', "gold contains '\\ud83d': lone surrogate"),
        ('{"text": "a", "note": "\\ud83d"}', "metadata: its JSON has a lone surrogate"),
        ({"text": "a", "heads": {"q": {"values": [1]}}}, "the head 'q' has the values [1]; write a mapping"),
        ({"text": "abc", "spans": [{"start": 1, "end": 4, "label": "X"}]}, "ends outside the raw text of 3 characters"),
        ({"text": "abc", "spans": [{"start": -1, "end": 2, "label": "X"}]}, "span 0 is {'start': -1, "),
        ({"text": "abc", "spans": [{"start": 2, "end": 2, "label": "X"}]}, "span 0 is {'start': 2, 'end': 2"),
        ({"text": "abc", "spans": [{"start": 0, "end": 1.5, "label": "X"}]}, "write {start, end, label}"),
        ({"text": "abc", "spans": [{"start": 0, "end": 1}]}, "span 0 is {'start': 0, 'end': 1}; write"),
        ({"text": "abc", "spans": [{"start": 0, "end": 1, "label": ""}]}, "label contains ''; write the name"),
        ({"text": "abc", "spans": 3}, "spans is 3; write a list of {start, end, label}"),
        ({"text": "abc", "label": ["a"]}, "label contains ['a']; write the name"),
        ({"text": "abc", "labels": "a"}, "labels is 'a'; write a list of names"),
        ({"text": "abc", "labels": ["a", None]}, "labels contains None"),
        ({"text_a": "a", "text_b": "b", "score": "high"}, "score is 'high'; write a number"),
        ({"text_a": "a", "text_b": 4, "score": 1}, "raw_text_pair: Input should be a valid string"),
        ({"tokens": ["a"], "tags": ["B-X", "O"]}, "there are 2 tags for 1 tokens"),
        ({"tokens": ["a"], "tags": ["X"]}, "tag 0 is 'X'; write 'O', 'B-LABEL' or 'I-LABEL'"),
        ({"tokens": ["a"], "tags": [3]}, "tags contains 3; write the name, or set label_names"),
        ({"tokens": "a b", "tags": ["O", "O"]}, "the tokens are 'a b'; write a list of strings"),
        ({"text": "a b", "tags": ["O", "O"]}, "there are tags but no tokens"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_line(in_folder, record, message):
    path = write({"id": "fine", "text": "fine"}, "", record)
    with pytest.raises(InvalidDocumentError) as error:
        list(read_jsonl(path))
    assert str(error.value).startswith("train.jsonl:3: ")
    assert message in str(error.value)


def test_bytes_that_are_no_utf8_are_named(in_folder):
    Path("train.jsonl").write_bytes(b'{"text": "a"}\n{"text": "Zo\xeb"}\n')
    with pytest.raises(InvalidDocumentError, match=r"^train\.jsonl:2: byte 12 of the line is not UTF-8"):
        list(read_jsonl("train.jsonl"))


def test_a_repeated_id_names_both_lines(in_folder):
    path = write({"id": "a", "text": "1"}, {"id": "b", "text": "2"}, {"id": "a", "text": "3"})
    with pytest.raises(
        InvalidDocumentError, match=r"^train\.jsonl:3: train\.jsonl:1 already has the id .a.; give every"
    ):
        list(read_jsonl(path))


def test_a_named_column_that_is_not_there(in_folder):
    path = write({"text": "a", "intent": "b"})
    message = r"^train\.jsonl:1: there is no column 'label' for 'label'; the columns are: 'text', 'intent'"
    with pytest.raises(InvalidDocumentError, match=message):
        list(read_jsonl(path, columns={"label": "label"}))
    with pytest.raises(InvalidDocumentError, match="expected the keys id, text, text_pair, spans, relations, label"):
        list(read_jsonl(path, columns={"lable": "intent"}))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_spans_and_text_are_kept_as_they_are(text, data):
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True))) if text else []
    spans = [{"start": ends[0], "end": ends[1], "label": "X"}] if ends else []
    record = json.loads(json.dumps({"text": text, "spans": spans}))
    document = record_to_document(record, columns={"text": "text", "spans": "spans"}, read_from="here")
    assert document.raw_text == text
    assert [span.model_dump(exclude={"score"}) for span in document.gold.spans] == spans


def test_spans_of_a_short_form_in_another_unit_are_an_error(tmp_path):
    record = {"text": "😀 Ana", "spans": [{"start": 3, "end": 6, "label": "PERSON"}], "offsets": "utf-16"}
    (tmp_path / "x.jsonl").write_text(json.dumps(record))
    with pytest.raises(InvalidDocumentError, match="offsets is 'utf-16', which is read only in the JSON of a Document"):
        list(read_jsonl(tmp_path / "x.jsonl"))
