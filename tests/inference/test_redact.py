"""`redact`: the raw text with the predicted spans replaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference.document import Annotation, Coverage, Document, Span
from nlp_inference.document.redaction import FIELDS, redact
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.transforms.base import Transform


def predicted(text, *rows):
    spans = tuple(Span(start=start, end=end, label=label, score=score) for start, end, label, score in rows)
    coverage = Coverage(characters=len(text), read=len(text), windows=1)
    return Document(raw_text=text, predicted=Annotation(spans=spans), id="7", coverage=coverage)


def unseen(text, *rows, **ranges):
    document = predicted(text, *rows)
    return document.with_predicted(document.predicted, coverage=document.coverage.model_copy(update=ranges))


def test_spans_are_replaced_on_the_raw_text_whatever_was_edited():
    class Shrink(Transform):
        name = "shrink_for_redact"

        def propose(self, text):
            return text.replace("&amp;", "&").replace("<b>", "").replace("</b>", "")

    text = "<b>Ana</b> &amp; Bob\u00a0✓"
    document = Shrink()(predicted(text, (3, 6, "P", 0.9), (17, 20, "P", 0.8)))
    assert redact(document) == "<b>[P]</b> &amp; [P]\u00a0✓"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("[{label}]", "[P] met [P], [P] and [Q]"),
        ("{label}{index}", "P1 met P2, P3 and Q4"),
        ("<{label}_{entity}>", "<P_1> met <P_2>, <P_1> and <Q_1>"),
        ("{surface}!", "Ana! met Bob!, Ana! and Ana!"),
        ("{start}-{end}/{length}", "0-3/3 met 8-11/3, 13-16/3 and 21-24/3"),
        ("{{{label}}}", "{P} met {P}, {P} and {Q}"),
        ("***", "*** met ***, *** and ***"),
        ("", " met ,  and "),
    ],
)
def test_templates(template, expected):
    text = "Ana met Bob, Ana and Ana"
    spans = ((21, 24, "Q", None), (0, 3, "P", None), (8, 11, "P", None), (13, 16, "P", None))
    assert redact(predicted(text, *spans), template) == expected


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 4, "A", 0.9), (2, 6, "B", 0.5)], "[A]6789"),
        ([(0, 4, "A", 0.5), (2, 6, "B", 0.9)], "[B]6789"),
        ([(0, 8, "A", 0.5), (2, 4, "B", 0.9)], "[B]89"),
        ([(0, 4, "A", None), (2, 4, "B", 0.0)], "[B]456789"),
        ([(0, 3, "A", None), (2, 6, "B", None)], "[B]6789"),
        ([(2, 6, "B", None), (0, 4, "A", None)], "[A]6789"),
        ([(0, 4, "B", None), (0, 4, "A", None)], "[A]456789"),
        ([(0, 4, "A", 0.5), (3, 7, "B", 0.9), (6, 9, "C", 0.7)], "[B]9"),
        ([(0, 3, "A", None), (3, 6, "A", None)], "[A][A]6789"),
        ([(0, 10, "A", None), (1, 2, "A", None), (4, 5, "A", None)], "[A]"),
        ([], "0123456789"),
    ],
)
def test_spans_that_overlap_are_replaced_once_under_the_best_label(spans, expected):
    assert redact(predicted("0123456789", *spans)) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{name}",
        "{}",
        "{0}",
        "{label.__class__}",
        "{label[0]}",
        "{label!r}",
        "{label:>999999999}",
        "{label:{index}}",
        "{",
        "}",
    ],
)
def test_a_template_can_only_name_what_there_is(template):
    with pytest.raises(InvalidSpecError, match="template"):
        redact(predicted("Ana", (0, 3, "P", None)), template)


def test_the_error_names_what_came_and_every_field():
    with pytest.raises(InvalidSpecError) as caught:
        redact(predicted("Ana"), "{name}")
    assert "'{name}'" in str(caught.value)
    assert all(f"{{{field}}}" in str(caught.value) for field in FIELDS)


def test_braces_in_the_text_and_in_labels_are_only_characters():
    assert redact(predicted("{label} Ana", (8, 11, "{surface}", None))) == "{label} [{surface}]"


def test_a_document_without_prediction_is_an_error_and_gold_is_never_used():
    document = Document(raw_text="Ana", id="7", gold=Annotation(spans=(Span(start=0, end=3, label="P"),)))
    with pytest.raises(InvalidDocumentError, match="'7' has no prediction"):
        redact(document)


ROWS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10), st.sampled_from("AB"), st.none()), max_size=8)


@given(text=st.text(min_size=30, max_size=30, alphabet=st.characters(exclude_categories=["Cs"])), drawn=ROWS)
def test_exactly_the_covered_characters_go(text, drawn):
    document = predicted(text, *((start, start + length, label, score) for start, length, label, score in drawn))
    covered = {place for start, length, _, _ in drawn for place in range(start, start + length)}
    assert redact(document, "") == "".join(char for place, char in enumerate(text) if place not in covered)
    assert redact(document, "{surface}") == text


def test_a_text_that_was_cut_off_is_redacted_only_when_that_is_said():
    coverage = Coverage(characters=15, read=6, windows=1, truncated=True, unread=((7, 15),))
    document = predicted("Ana is Bob's aunt"[:15], (0, 3, "P", 0.9))
    document = document.with_predicted(document.predicted, coverage=coverage)
    with pytest.raises(
        InvalidDocumentError, match=r"document '7' was truncated.*on_overflow: split.*allow_truncated=True"
    ):
        redact(document)
    assert redact(document, allow_truncated=True, unseen="keep") == "[P] is Bob's au"
    assert redact(document, allow_truncated=True) == "[P] is [UNREAD]"


# --- what the model did not see ---


@pytest.mark.parametrize("kind", ["unread", "deleted", "unknown"])
def test_text_that_the_model_did_not_see_is_masked_by_default(kind):
    document = unseen("Ana <!-- Bo -->", (0, 3, "P", None), **{kind: ((9, 11),)})
    assert redact(document) == "[P] <!-- [UNREAD] -->"
    assert redact(document, unseen="keep") == "[P] <!-- Bo -->"
    with pytest.raises(InvalidDocumentError, match=r"'7': the model did not see 1 range\(s\).*at 9:11.*unseen='mask'"):
        redact(document, unseen="refuse")


def test_white_space_at_the_edges_of_text_that_was_not_seen_is_kept():
    assert redact(unseen("Ana \ufffd  Bo\t", unread=((3, 6), (7, 10)))) == "Ana [UNREAD]  [UNREAD]\t"


@pytest.mark.parametrize(
    ("spans", "ranges", "expected"),
    [
        ([], [(2, 4), (3, 6)], "01[UNREAD]6789"),
        ([(2, 6, "A", None)], [(3, 5)], "01[A]6789"),
        ([(3, 5, "A", None)], [(2, 6)], "01[UNREAD][A][UNREAD]6789"),
        ([(0, 3, "A", None), (5, 8, "B", None)], [(2, 6)], "[A][UNREAD][B]89"),
        ([(0, 2, "A", None)], [(2, 4)], "[A][UNREAD]456789"),
        ([(0, 5, "A", None)], [(0, 2), (3, 7)], "[A][UNREAD]789"),
        ([(4, 6, "A", None)], [(0, 2), (8, 99)], "[UNREAD]23[A]67[UNREAD]"),
    ],
)
def test_only_what_no_span_covers_is_masked(spans, ranges, expected):
    document = unseen("0123456789", *spans, deleted=tuple(ranges))
    assert redact(document) == expected


def test_masked_text_takes_part_in_the_numbers_of_a_template():
    document = unseen("Bo Ana Bo Bo", (3, 6, "P", None), deleted=((0, 2),), unknown=((7, 9), (10, 12)))
    assert redact(document, "{label}{index}.{entity}") == "UNREAD1.1 P2.1 UNREAD3.1 UNREAD4.1"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("\u200b", False),
        (" -->", False),
        ("\x00\ufe0f", False),
        ("\U000e0041", True),
        ("é", True),
        ("😀", True),
        ("7", True),
    ],
)
def test_white_space_punctuation_and_invisible_characters_pass(text, masked):
    assert redact(unseen(text, unread=((0, len(text)),))) == ("[UNREAD]" if masked else text)


def test_a_prediction_without_coverage_is_refused_unless_unseen_text_may_pass():
    document = predicted("Ana", (0, 3, "P", None)).model_copy(update={"coverage": None})
    with pytest.raises(InvalidDocumentError, match=r"'7' has a prediction without coverage.*unseen='keep'"):
        redact(document)
    assert redact(document, unseen="keep") == "[P]"


@given(
    text=st.text(min_size=30, max_size=30, alphabet="abc"),
    drawn=ROWS,
    ranges=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), max_size=5),
)
def test_no_character_that_was_not_seen_passes(text, drawn, ranges):
    rows = [(start, start + length, label, score) for start, length, label, score in drawn]
    hidden = tuple((start, start + length) for start, length in ranges)
    gone = {place for start, end, *_ in (*rows, *hidden) for place in range(start, end)}
    kept = "".join(character for place, character in enumerate(text) if place not in gone)
    assert redact(unseen(text, *rows, deleted=hidden), "") == kept
