"""What preprocessing deleted: reported in raw coordinates for every transform, and not counted as read."""

import re
import unicodedata

import pytest
from fakes import RecordingBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chains, messy_texts, sentences

from nlp_inference import Document, Predictor, Processor, TokenClassification, redact
from nlp_inference.document.aligned_text import AlignedText, Edit
from nlp_inference.document.deletions import deleted_ranges, has_content, merge_ranges
from nlp_inference.transforms import Compose, StripHtml, Transform, text_transform

TASK = TokenClassification(labels=("CITY",))


def deleted(chain, raw):
    document = Compose(chain)(Document(raw_text=raw))
    return document.text, [raw[start:end] for start, end in deleted_ranges(document.aligned)]


def replace(pattern, replacement=""):
    return {"replace_regex": {"pattern": pattern, "replacement": replacement}}


@pytest.mark.parametrize(
    ("raw", "text", "expected"),
    [
        ("From: Ana <ana@example.com>", "From: Ana <ana@example.com>", []),
        ("See <https://example.com/?a=1&copy=2> now", "See <https://example.com/?a=1&copy=2> now", []),
        ("<mailto:ana@example.com> <tel:+44-20>", "<mailto:ana@example.com> <tel:+44-20>", []),
        ("x <Oliver Bennett> y <Anne-Marie> <O'Neil>", "x <Oliver Bennett> y <Anne-Marie> <O'Neil>", []),
        ("<b Oliver Bennett>x</b>", "<b Oliver Bennett>x", []),
        ("<Mark> met <mark>Bo</mark>", "<Mark> met Bo", []),
        ("</Oliver> <path> <text>", "</Oliver> <path> <text>", []),
        ("<a href='mailto:a@b.org' title='Bo Li'>me</a>", "me", ["mailto:a@b.org", "Bo Li"]),
        ("<p class=x1>hi</p>", "hi", ["x1"]),
        ("<input disabled value='7'>", "", ["7"]),
        ("<b data-bo=1 anna=2>x</b>", "x", ["data-bo", "1", "anna", "2"]),
        ("<anne-marie>x</anne-marie>", "x", ["anne-marie", "anne-marie"]),
        ("<o:p></o:p>x", "x", []),
        ("<!-- Bo Li, 44 -->x<!-- - -->", "x", ["Bo Li, 44"]),
        ("<script>var x = 'Bo'</script>y", "y", ["var x = 'Bo'"]),
        ("<style>p {a: b}", "", ["p {a: b}"]),
        ("<?php echo 1 ?>x</ Bo>y<!Bo>z", "xyz", ["php echo 1", "Bo", "Bo"]),
        ("<!DOCTYPE html><html><p>x</p></html>", "x", []),
        ('<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">x', "x", []),
        ("<!DOCTYPE html Bo>x", "x", ["DOCTYPE html Bo"]),
        ("a<![CDATA[Bo]]>c", "ac", ["CDATA[Bo"]),
        ("&eacute;<br>&nbsp;&#65;", "é\n\xa0A", []),
        ("<svg><path d='M0 1'/><title>Bo</title></svg>", "Bo", ["M0 1"]),
    ],
)
def test_what_strip_html_deletes(raw, text, expected):
    assert deleted(["strip_html"], raw) == (text, expected)


@pytest.mark.parametrize(
    ("raw", "text", "expected"),
    [
        ("<a href='mailto:a@b.org' title='Bo Li'>me</a>", "mailto:a@b.org Bo Li me", []),
        ("see <img alt='Bo &amp; Co' src=x.png>!", "see  Bo & Co !", ["x.png"]),
        ("a<p title=x class=y>c</p>", "a\nx\nc", ["y"]),
        ("<a href='?a=1&copy=2&amp;b'>q</a>", "?a=1&copy=2&b q", []),
        ("<a href='' title=' '>q</a href=x>", "q", ["x"]),
    ],
)
def test_values_of_chosen_attributes_stay_as_text(raw, text, expected):
    assert deleted([StripHtml(keep_attributes=("alt", "title", "href"))], raw) == (text, expected)


@pytest.mark.parametrize(
    ("chain", "raw", "expected"),
    [
        ([replace("secret")], "top secret file", ["secret"]),
        ([replace("secret", " - ")], "top secret file", ["secret"]),
        ([replace(r"\S+@\S+", "<email>")], "to ana@example.org now", ["ana@example.org"]),
        ([replace(r"(\w+) secret", r"\1")], "foo secret bar", ["secret"]),
        ([replace(r"(?P<a>\w+)-(\d+)", r"\2 \g<a>")], "foo-12", []),
        ([replace(r"Mr\. (\w+)", r"Mr \1")], "Mr. Bo", []),
        ([replace(r"\d", "0")], "tel 795 1", ["795", "1"]),
        ([replace("ø", "o")], "København", []),
        ([replace(r"\s+", " ")], "a  b", []),
        (["mask"], "@ana: see https://x.org/a", ["@ana", "https://x.org/a"]),
        (["mask"], "@us and @er", ["@us", "@er"]),
        ([replace(r"\b(Na|Kim)\b", "<name>")], "Na met Kim", ["Na", "Kim"]),
        ([replace("e-mail", "email")], "by e-mail", []),
        ([replace(r"from (\w+) to (\w+)", r"from \1 to \2!")], "from Ana to Bo", []),
        (["lowercase", replace("ana")], "Hi ANA!", ["ANA"]),
        (["strip_html", replace("é")], "caf&eacute;", ["&eacute;"]),
        ([replace("(?=a)", "xx"), replace("xx")], "banana", []),
        ([replace("b"), replace("c"), replace("ad")], "abcd", ["abcd"]),
        (["mask", "mask", replace(r"\[EMAIL\]")], "a@b.org", ["a@b.org"]),
        (["remove_control"], "hi\U000e0041\U000e0042 x\u200b", ["\U000e0041\U000e0042"]),
        (["fix_encoding"], "CafÃ© â€œhiâ€\x9d", []),
        (["strip_accents", "casefold", {"normalize_unicode": "NFKC"}, "normalize_punctuation"], "É ﬁ ʼ ß ½", []),
        (["collapse_whitespace"], " a\n\tb ", []),
    ],
)
def test_what_other_transforms_delete(chain, raw, expected):
    assert deleted(chain, raw)[1] == expected


FUNCTIONS = {
    "drop": (lambda text: text.replace("secret", ""), "top secret file", ["secret"]),
    "upper": (lambda text: text.upper(), "hello Straße", []),
    "constant": (lambda text: re.sub(r"\S+@\S+", "email", text), "to oliver@example.com now", ["oliver@example.com"]),
    "digits": (lambda text: re.sub(r"\d+", "0", text), "call 44 1", ["44", "1"]),
    "accents": (lambda text: unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode(), "Élan Ünï", []),
    "titles": (lambda text: text.replace("Dr. ", ""), "Dr. Ana Dr. Bo", ["Dr.", "Dr."]),
    "script": (lambda text: text.translate(str.maketrans("абв", "abv")), "баба в", []),
    "foreign": (
        lambda text: text.replace("漢字漢字漢字漢字漢字", "x"),
        "漢字漢字漢字漢字漢字",
        ["漢字漢字漢字漢字漢字"],
    ),
    "mojibake": (lambda text: text.encode("latin-1").decode(), "Ð¼Ð°Ð¼Ð°", []),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_functions_delete_is_found_in_their_edits(name):
    function, raw, expected = FUNCTIONS[name]
    step = text_transform(name=f"{name}_of_these_deletions")(function)
    assert deleted([step], raw)[1] == expected


class Custom(Transform):
    """A transform of a user, which says itself that it keeps what it changes."""

    name = "custom_of_these_deletions"

    def propose(self, text):
        return [Edit(0, len(text), "-")] if text else []

    def find_deleted(self, text, edits):
        return [(edit.start + 1, edit.end) for edit in edits]


def test_a_transform_can_say_what_it_deletes():
    assert deleted([Custom()], "abcd") == ("-", ["bcd"])


def test_edits_without_a_transform_are_judged_by_what_comes_back():
    aligned = AlignedText("Ana Silva is 7").edit("other", 1, [Edit(3, 9, ""), Edit(13, 14, "seven")])
    assert deleted_ranges(aligned) == ((4, 9), (13, 14))


def coverage_of(tokenizer, chain, raw):
    (encoded,) = Processor(tokenizer, TASK, chain).encode([Document(raw_text=raw)])
    return encoded.coverage()


def test_each_raw_character_counts_once(tokenizer):
    found = coverage_of(tokenizer, ["strip_html", replace("b+", "\u200b")], "<i title=abc>\u200b bbb x</i>")
    assert (found.unread, found.deleted, found.characters, found.read) == (
        ((13, 19),),
        ((9, 12), (15, 18)),
        24,
        15,
    )


@settings(max_examples=80, deadline=None)
@given(text=messy_texts | sentences, chain=chains)
def test_ranges_are_sorted_disjoint_and_hold_content_and_the_rest_is_read(tokenizer, text, chain):
    found = coverage_of(tokenizer, chain, text)
    assert list(found.deleted) == merge_ranges(found.deleted)
    assert all(text[start:end].strip() == text[start:end] for start, end in found.deleted)
    unseen = {place for start, end in found.not_seen for place in range(start, end)}
    assert found.read == len(text) - len(unseen)


@settings(max_examples=80, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(["<!--x-->", "<a href='x'>", "<x@y>", "x", " ", "<script>x</script>", "<b x>"])),
    chain=st.sampled_from(
        [["strip_html"], [replace("x")], ["strip_html", replace("<[^>]*>")], ["mask", replace("x", "yz")]]
    ),
)
def test_no_deleted_letter_passes_a_redaction(tokenizer, pieces, chain):
    raw = "".join(pieces)
    processor = Processor(tokenizer, TASK, chain)
    (document,) = Predictor(processor, RecordingBackend(processor)).predict([raw])
    passed = redact(document, "").count("x")
    assert passed <= document.text.count("x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", True),
        ("é", True),
        ("漢", True),
        ("Ⓐ", True),
        ("⠕", True),
        ("🇴", True),
        ("\u0301", False),
        ("<!-- -->", False),
    ],
)
def test_content_is_letters_and_digits_of_any_script(text, expected):
    assert has_content(text) is expected
