"""Offsets in UTF-16 code units and UTF-8 bytes, for callers in other languages."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import documents, graphemes, messy_texts
from thorough import examples

from nlp_inference import Document, Span
from nlp_inference.document import Coverage
from nlp_inference.document.aligned_text import AlignedText, Edit
from nlp_inference.document.offsets import OffsetMap
from nlp_inference.errors import InvalidDocumentError

UNITS = {"utf-16": ("utf-16-le", 2), "utf-8": ("utf-8", 1), "codepoint": ("utf-32-le", 4)}


def sliced(text, start, end, unit):
    """What a program finds whose strings are sequences of `unit`."""
    codec, size = UNITS[unit]
    return text.encode(codec)[start * size : end * size].decode(codec)


def test_an_emoji_before_a_span():
    text, span = "😀 Ana Lopez", Span(start=2, end=11, label="PERSON", score=0.5)
    assert (span.to_utf16(text), span.to_utf8(text)) == ((3, 12), (5, 14))
    assert Span.from_utf16(text, start=3, end=12, label="PERSON", score=0.5) == span
    assert Span.from_utf8(text, start=5, end=14, label="PERSON", score=0.5) == span


@settings(max_examples=examples(100))
@given(text=messy_texts | graphemes, data=st.data())
def test_the_same_characters_are_found_and_come_back(text, data):
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    span = Span(start=start, end=data.draw(st.integers(start + 1, len(text))), label="X")
    assert sliced(text, *span.to_utf16(text), "utf-16") == text[span.start : span.end]
    assert sliced(text, *span.to_utf8(text), "utf-8") == text[span.start : span.end]
    first, last = span.to_utf16(text)
    assert Span.from_utf16(text, start=first, end=last, label="X") == span
    first, last = span.to_utf8(text)
    assert Span.from_utf8(text, start=first, end=last, label="X") == span


@settings(max_examples=examples(100))
@given(document=documents(), unit=st.sampled_from(sorted(UNITS)))
def test_documents_come_back_through_json(document, unit):
    if not document.raw_text:
        document = document.model_copy(update={"coverage": None})  # the strategy's has a range of one character
    content = json.loads(json.dumps(document.to_offsets(unit)))
    assert content["offsets"] == unit
    for name in ("gold", "predicted"):
        annotation = getattr(document, name)
        if annotation is not None:
            found = [sliced(document.raw_text, one["start"], one["end"], unit) for one in content[name]["spans"]]
            assert found == [document.surface(span) for span in annotation.spans]
    assert Document.from_offsets(content).model_dump() == document.model_dump()


def test_edits_count_in_the_text_before_each_transform_and_coverage_in_its_own_text():
    raw = "😀<b>é</b>😀"
    aligned = (
        AlignedText(raw).edit("strip_html", 1, [Edit(1, 4, ""), Edit(5, 9, "")]).edit("x", 1, [Edit(1, 2, "😀😀")])
    )
    coverage = Coverage(characters=12, read=9, windows=1, unread=((1, 4),), unknown=((9, 10),), unknown_pair=((1, 2),))
    document = Document(raw_text=raw, raw_text_pair="😀é", coverage=coverage).with_aligned(aligned)
    content = document.to_offsets("utf-16")
    assert [record["edits"] for record in content["edits"]] == [[[2, 5, ""], [6, 10, ""]], [[2, 3, "😀😀"]]]
    assert content["coverage"]["unread"] == [[2, 5]]
    assert content["coverage"]["unknown"] == [[10, 12]]
    assert content["coverage"]["unknown_pair"] == [[2, 3]]
    assert document.to_offsets("utf-8")["coverage"]["unknown_pair"] == [[4, 6]]
    assert Document.from_offsets(content) == document


def test_a_long_text_with_many_spans_is_read_once():
    text = "😀 Ana " * 20_000
    spans = [{"start": start, "end": start + 3, "label": "PERSON"} for start in range(2, len(text), 6)]
    content = Document(raw_text=text, gold={"spans": spans}).to_offsets("utf-16")
    last = content["gold"]["spans"][-1]
    assert (last["start"], last["end"]) == (20_000 * 7 - 4, 20_000 * 7 - 1)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [(1, 3, "the utf-16 offset 1 is inside character 0"), (2, 9, "offset 9 is outside the text, which ends at 3")],
)
def test_offsets_that_cannot_be_are_refused(start, end, message):
    with pytest.raises(InvalidDocumentError, match=message):
        Span.from_utf16("😀a", start=start, end=end, label="X")


def test_a_span_of_another_text_is_refused():
    with pytest.raises(InvalidDocumentError, match="offset 4 is outside"):
        Span(start=0, end=4, label="X").to_utf8("é")
    with pytest.raises(ValueError, match="unknown offset unit 'utf-32'"):
        OffsetMap("a", "utf-32")


@pytest.mark.parametrize("content", [{}, {"raw_text": None}, {"raw_text": "a", "gold": {"spans": [{"start": 0}]}}])
def test_what_is_no_document_is_refused(content):
    with pytest.raises(InvalidDocumentError, match=r"expected the result of Document\.to_offsets"):
        Document.from_offsets({**content, "offsets": "utf-16"})
