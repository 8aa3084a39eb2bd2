"""Lines become items for the Predictor: nothing is lost, and what cannot be read is named by its line."""

import pytest

from nlp_inference.document import Document
from nlp_inference.document.inputs import UnreadableItem
from nlp_inference.files.records import read_items


def read(*lines):
    return list(read_items(lines, name="in"))


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("Ana lives in Rome\n", "Ana lives in Rome"),
        ("Rome\r\n", "Rome"),
        (b"Rome\r\n", "Rome"),
        ("  Rome  \n", "  Rome  "),
        ("\ufeffRome\n", "Rome"),
        ("[1, 2]", "[1, 2]"),
        ('"Rome"', '"Rome"'),
        ("a\u2028b\x85c", "a\u2028b\x85c"),
        ('{"text": "Hi"}', {"raw_text": "Hi"}),
        ('{"text": "Hi"}\r\n', {"raw_text": "Hi"}),
        (' \t{"text": "Hi"}', {"raw_text": "Hi"}),
        ('\ufeff{"text": "Hi"}', {"raw_text": "Hi"}),
        ('\ufeff {"text": "Hi"}'.encode(), {"raw_text": "Hi"}),
        ('{"raw_text": "Hi", "coverage": null}', {"raw_text": "Hi", "coverage": None}),
        ('{"text": ""}', {"raw_text": ""}),
        ('{"id": null, "text": "Hi"}', {"raw_text": "Hi"}),
        ('{"id": 7, "text": "Hi"}', {"id": "7", "raw_text": "Hi"}),
        ('{"text": "a", "text_pair": "b"}', {"raw_text": "a", "raw_text_pair": "b"}),
        ('{"text_a": "a", "text_b": "b"}', {"raw_text": "a", "raw_text_pair": "b"}),
        ('{"text": "a", "text_pair": null}', {"raw_text": "a", "metadata": {"text_pair": None}}),
        ('{"text": "a", "lang": "en", "n": [1]}', {"raw_text": "a", "metadata": {"lang": "en", "n": [1]}}),
        ('{"text": "a", "lang": "en", "metadata": {"b": 1}}', {"raw_text": "a", "metadata": {"lang": "en", "b": 1}}),
        ('{"raw_text": "a", "text": "b"}', {"raw_text": "a", "metadata": {"text": "b"}}),
    ],
)
def test_what_a_line_is_read_as(line, item):
    assert read(line) == [item]


def test_what_is_read_is_what_a_document_takes():
    [item] = read('{"id": 7, "text": "a", "text_b": "b", "lang": "en", "gold": {"spans": []}}')
    document = Document.model_validate(item)
    assert (document.id, document.raw_text_pair, document.metadata) == ("7", "b", {"lang": "en"})


def test_blank_lines_are_skipped_and_count():
    assert read("\n", " \r\n", b"", "{")[0].id == "in:4"


def test_a_byte_order_mark_inside_a_file_is_part_of_its_text():
    assert read("Rome", "\ufeffRome") == ["Rome", "\ufeffRome"]


@pytest.mark.parametrize(
    ("line", "name", "said"),
    [
        ("{bad", "in:1", 'not valid JSON: .*must be a JSON object; to predict it as a text, write {"text"'),
        ("{name}, hello", "in:1", "not valid JSON"),
        ('{"text": NaN}', "in:1", "NaN is not a JSON number"),
        ('{"text": "a", "text": "b"}', "in:1", "the key 'text' occurs twice in an object; write each key once"),
        ('{"a":' * 200_000, "in:1", "nested too deeply"),
        (b"caf\xe9", "in:1", "byte 3 of the line is not UTF-8"),
        ('{"txt": "Hi"}', "in:1", r"no 'text' among the keys \['txt'\]"),
        ('{"txt": "Hi", "id": 3}', "3", "in:1: no 'text'"),
        ('{"text": null}', "in:1", "no 'text'"),
        ('{"text": "a", "b": 1, "metadata": {"b": 2}}', "in:1", r"the keys \['b'\] are in the object and in its"),
    ],
    ids=range(10),
)
def test_a_line_that_cannot_be_read_is_named_and_the_next_is_read(line, name, said):
    bad, good = read(line, "Rome")
    assert isinstance(bad, UnreadableItem)
    assert bad.id == name
    with pytest.raises(ValueError, match=said):
        raise bad.cause
    assert good == "Rome"
