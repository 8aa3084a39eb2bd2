"""Exact texts and exact raw surfaces for each transform: input, result, a piece of the result, where it came from."""

import pytest
from cpu_time import takes_less_than
from thorough import combinations

from nlp_inference.document import Document
from nlp_inference.errors import InvalidSpecError
from nlp_inference.transforms import Transform

TABLE = [
    # transform, input, current text, a piece of the current text, the raw surface it maps to
    ("fix_encoding", "le cafÃ© noir", "le café noir", "café", "cafÃ©"),
    ("fix_encoding", "â€œHelloâ€\x9d", "“Hello”", "Hello", "Hello"),
    ("fix_encoding", "“a” ﬁ &amp; b\r\n", "“a” ﬁ &amp; b\r\n", "“a”", "“a”"),
    ("fix_encoding", "fine\nschÃ¶n\nAna Ã¶", "fine\nschön\nAna ö", "schön", "schÃ¶n"),
    ("fix_encoding", "a\x93b", "a“b", "b", "b"),
    ("fix_encoding", "a\x93b", "a“b", "“", "\x93"),
    ("normalize_unicode", "cafe\u0301 Ana", "café Ana", "é", "e\u0301"),
    ("normalize_unicode", "a\u0301\u0323b", "ạ\u0301b", "ạ\u0301", "a\u0301\u0323"),
    ("normalize_unicode", "\u1112\u1161\u11ab글", "한글", "한", "\u1112\u1161\u11ab"),
    ({"normalize_unicode": "NFD"}, "é", "e\u0301", "e", "é"),
    ({"normalize_unicode": "NFKC"}, "the ﬁne", "the fine", "i", "ﬁ"),
    ({"normalize_unicode": "NFKC"}, "ｶﾞ!", "ガ!", "ガ", "ｶﾞ"),
    ({"normalize_unicode": "NFKC"}, "x² ½", "x2 1⁄2", "1⁄2", "½"),
    ("remove_control", "\ufeffAna\u200b lives\x00", "Ana lives", "lives", "lives"),
    ("remove_control", "Straß\u00adburg", "Straßburg", "Straßburg", "Straß\u00adburg"),
    ("remove_control", "a\tb\r\nc", "a\tb\r\nc", "c", "c"),
    ("remove_control", "a\u200db 👩\u200d💻 می\u200cخواهم", "ab 👩\u200d💻 می\u200cخواهم", "👩\u200d💻", "👩\u200d💻"),
    ({"remove_control": False}, "👩\u200d💻!", "👩💻!", "💻", "💻"),
    ("remove_control", "🏴\U000e0067\U000e0062\U000e007f\U000e0041x", "🏴\U000e0067\U000e0062\U000e007fx", "x", "x"),
    ("remove_control", "evil\u202etxt", "eviltxt", "txt", "txt"),
    ("collapse_whitespace", "  Ana \u00a0 lives\n\nhere ", "Ana lives here", "Ana lives", "Ana \u00a0 lives"),
    ("collapse_whitespace", "a \u2003b", "a b", " ", " \u2003"),
    ("collapse_whitespace", " \n ", "", "", ""),
    ({"collapse_whitespace": True}, "a \r\n\r\n b  c", "a\nb c", "\n", " \r\n\r\n "),
    ("normalize_punctuation", "“Well…” – she", '"Well..." - she', "...", "…"),
    ("normalize_punctuation", "it’s\u00a010\u202f%", "it's 10 %", "it's", "it’s"),
    ({"normalize_punctuation": {"dashes": False}}, "«a–b»", '"a–b"', "a–b", "a–b"),
    ("lowercase", "İstanbul ANKARA", "i\u0307stanbul ankara", "i\u0307", "İ"),
    ("lowercase", "ΟΔΟΣ ΣΟΦΙΑ", "οδος σοφια", "ς", "Σ"),
    ("casefold", "STRAßE", "strasse", "ss", "ß"),
    ("casefold", "ὈΔΥΣΣΕΎΣ", "ὀδυσσεύσ", "σσ", "ΣΣ"),
    ("strip_accents", "Crème", "Creme", "Creme", "Crème"),
    ("strip_accents", "cafe\u0301!", "cafe!", "!", "!"),
    ("strip_accents", "e\u0301 हिन्दी が Łódź", "e हिन्दी が Łodz", "Łodz", "Łódź"),
    ({"replace_regex": {"pattern": r"(\d+)\s*€", "replacement": r"EUR \1"}}, "12 € now", "EUR 12 now", "EUR", "12 €"),
    ({"replace_regex": "#+"}, "##a#", "a", "a", "a"),
    ("mask", "@ana: bo@x.org, www.x.org/a?b=c.", "[USER]: [EMAIL], [URL].", "[URL]", "www.x.org/a?b=c"),
    ("mask", "(see https://x.org/a)", "(see [URL])", "[URL]", "https://x.org/a"),
    ("mask", "a@b c@ @ x@@y", "a@b c@ @ x@@y", "x", "x"),
    ({"mask": ["number"]}, "12,5 of 3rd, -7; v2", "[NUMBER] of 3rd, [NUMBER]; v2", "[NUMBER]", "12,5"),
    ({"mask": {"kinds": ["email"], "email": "<E>"}}, "to bo@x.org", "to <E>", "<E>", "bo@x.org"),
    ("strip_html", "<p>Caf&eacute; <b>No</b>ir</p>", "Café Noir", "Noir", "No</b>ir"),
]


@pytest.mark.parametrize(("spec", "raw", "current", "piece", "surface"), TABLE)
def test_exact_results_and_where_they_came_from(spec, raw, current, piece, surface):
    document = Transform.from_spec(spec)(Document(raw_text=raw))
    assert document.text == current
    start = current.index(piece)
    raw_start, raw_end = document.aligned.to_raw(start, start + len(piece))
    assert raw[raw_start:raw_end] == surface


@pytest.mark.parametrize(
    "spec",
    ["fix_encoding", "normalize_unicode", "strip_html", "collapse_whitespace", "remove_control", "lowercase", "mask"],
)
def test_clean_text_gets_no_record(spec):
    document = Document(raw_text="a clean sentence, as most are.")
    assert Transform.from_spec(spec)(document).edits == ()


def test_the_second_text_of_a_pair_is_changed_too():
    document = Transform.from_spec("lowercase")(Document(raw_text="Who?", raw_text_pair="ANA."))
    assert (document.text, document.text_pair) == ("who?", "ana.")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"normalize_unicode": "NFX"}, "NFC"),
        ({"mask": []}, "at least 1"),
        ({"mask": ["phone"]}, "'url', 'email', 'user'"),
        ({"lowercase": 3}, "has no fields"),
        ({"collapse_whitespace": {"keep_newline": True}}, "did you mean 'keep_newlines'"),
    ],
)
def test_a_bad_setting_is_refused_with_what_is_possible(spec, words):
    with pytest.raises(InvalidSpecError, match=words):
        Transform.from_spec(spec)


HOSTILE = [
    "a",
    " ",
    "\n",
    "é",
    "e\u0301",
    "\u0301",
    "\u1100\u1161",
    "\u200d",
    "❤\u200d",
    "🏴\U000e0020",
    "Ã©",
    "İ",
    "…",
]
HOSTILE += ["http://", "www.", "a@", "a.", "@a", "1.", "+1,", "a@b.", "-", "&", "&#1", "\x00", "\u202e"]


TRANSFORMS = [
    "fix_encoding",
    "normalize_unicode",
    {"normalize_unicode": "NFKD"},
    "remove_control",
    "collapse_whitespace",
    "normalize_punctuation",
    "lowercase",
    "casefold",
    "strip_accents",
    {"mask": ["url", "email", "user", "number"]},
]


@pytest.mark.parametrize(("piece", "spec"), combinations(HOSTILE, TRANSFORMS))
def test_hostile_repetition_takes_linear_time(spec, piece):
    document = Document(raw_text=piece * (60_000 // len(piece)) + "x")
    with takes_less_than(10):  # quadratic time is minutes
        assert isinstance(Transform.from_spec(spec)(document).text, str)
