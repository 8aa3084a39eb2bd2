"""diff_edits and fix_encoding on long lines: local changes are found at any length, and what is not is reported."""

import unicodedata
import warnings
from random import Random

import pytest
from fakes import RecordingBackend
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_inference import Document, Predictor, Processor, TokenClassification
from nlp_inference.document.aligned_text import AlignedText, Edit, apply_edits
from nlp_inference.document.deletions import MAX_UNIT, deleted_ranges, imprecise_ranges
from nlp_inference.document.mojibake import split_repair
from nlp_inference.processor import ImpreciseSpanWarning, _warn_of_imprecise_spans
from nlp_inference.transforms import FixEncoding, diff, text_transform
from nlp_inference.transforms.diff import diff_edits

ALPHABETS = {
    "Cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюя   ,.1",
    "Greek": "αβγδεζηθικλμνξοπρστυφχψω   ",
    "Chinese": "".join(map(chr, range(0x4E00, 0x4E80))) + "，。",
    "emoji": "😀😂🎉👍🚀❤ a",
    "French": "abcdefghijklmnopqrstuvwxyzéèàç     ",
}
CHANGES = {
    "upper": str.upper,
    "casefold": str.casefold,
    "ascii": lambda text: unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode(),
    "no vowels": lambda text: text.translate(dict.fromkeys(map(ord, "aeiou"))),
    "no spaces": lambda text: text.replace(" ", ""),
    "longer": lambda text: text.replace("x", "xyzzy"),
    "names": lambda text: text.replace("rome", "<CITY>").replace("ana", "<NAME>"),
}


def draw(alphabet, length, seed=0):
    return "".join(Random(seed).choices(alphabet, k=length))  # noqa: S311 - a sample


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("length", [2_000, 2_788, 40_000])
@pytest.mark.parametrize("script", ALPHABETS)
def test_mojibake_is_repaired_character_by_character_at_any_length(script, length, encoding):
    text = draw([one for one in ALPHABETS[script] if _can(one, encoding)], length)
    document = FixEncoding()(Document(raw_text=text.encode().decode(encoding)))
    assert document.text == text
    (record,) = document.edits
    assert max(edit.end - edit.start for edit in record.edits) <= 4
    position = 0
    for at, character in enumerate(text[:3_000]):
        size = len(character.encode())
        assert document.aligned.to_raw(at, at + 1) == (position, position + size)
        position += size


def _can(character, encoding):
    try:
        return bool(character.encode().decode(encoding))
    except UnicodeDecodeError:
        return False


@pytest.mark.parametrize("script", ALPHABETS)
def test_a_function_that_repairs_mojibake_makes_local_edits(script):
    text = draw(ALPHABETS[script], 20_000)
    broken = text.encode().decode("latin-1")
    edits = list(diff_edits(broken, text))
    assert apply_edits(broken, edits) == text
    assert max(edit.end - edit.start for edit in edits) <= 4 * MAX_UNIT


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("length", [300, 20_000])
def test_local_changes_of_a_function_make_local_edits_at_any_length(change, length):
    words = ["ana", "lives", "in", "rome", "Weiß", "Ünï", "x"]
    text = " ".join(Random(length).choices(words, k=length))  # noqa: S311 - a sample
    edits = list(diff_edits(text, change(text)))
    assert apply_edits(text, edits) == change(text)
    assert max(edit.end - edit.start for edit in edits) <= 5


def test_twice_broken_and_partly_broken_text_is_repaired_by_character():
    broken = "ZÃƒÂ¼rich and schÃ¶n, Łódź"
    assert [broken[edit.start : edit.end] for edit in FixEncoding().propose(broken)] == ["Ãƒ\u00c2¼", "Ã¶"]
    assert split_repair("xyz", 0, 3, "abc") is None


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), changes=st.integers(0, 60), alphabet=st.sampled_from(["ab", "abcdefgh ", "ab\n "]))
def test_edits_of_long_texts_always_give_the_other_text(seed, changes, alphabet):
    random = Random(seed)  # noqa: S311 - a sample
    before = draw(alphabet, random.randint(0, 1_500), seed)
    after = list(before)
    for _ in range(changes):
        at = random.randint(0, len(after))
        after[at : at + random.randint(0, 9)] = draw(alphabet, random.randint(0, 9), random.random())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff, "LEVENSHTEIN_CELLS", 400)
        patch.setattr(diff, "FEW_CHANGES", 2)
        patch.setattr(diff, "WINDOW", 64)
        patch.setattr(diff, "_USED", 48)
        edits = list(diff_edits(before, "".join(after)))
    assert apply_edits(before, edits) == "".join(after)


def _cells(monkeypatch, before, after):
    """Character pairs that are compared."""
    compared = []
    opcodes = diff.Levenshtein.opcodes

    class Counting:
        distance = staticmethod(diff.Levenshtein.distance)

        @staticmethod
        def opcodes(left, right, **options):
            compared.append(len(left) * len(right))
            return opcodes(left, right, **options)

    with monkeypatch.context() as patch:
        patch.setattr(diff, "Levenshtein", Counting)
        assert apply_edits(before, diff_edits(before, after)) == after
    return sum(compared)


@pytest.mark.parametrize(
    "change",
    [str.swapcase, lambda text: text[::-1], lambda text: text.replace(" ", ""), lambda text: text.replace("a", "bcd")],
    ids=["case", "reversed", "no spaces", "longer"],
)
def test_the_work_grows_linearly_with_the_length(monkeypatch, change):
    short, long = (draw("abcdefgh  ", length) for length in (30_000, 120_000))
    few, many = (_cells(monkeypatch, text, change(text)) for text in (short, long))
    assert many <= 6 * few + diff.LEVENSHTEIN_CELLS


# --- where it is impossible ---


def test_an_edit_that_rewrites_a_long_range_is_reported():
    short = AlignedText("a" * 200).edit("t", 1, [Edit(0, 64, "b" * 64), Edit(100, 200, "c")])
    assert imprecise_ranges(short) == ()
    long = short.edit("t", 1, [Edit(64, 100, "x" * 100)])
    assert imprecise_ranges(long) == ()
    longer = AlignedText("<b>" + "a" * 200).edit("t", 1, [Edit(0, 3, "")]).edit("t", 1, [Edit(10, 75, "b" * 65)])
    assert imprecise_ranges(longer) == ((13, 78),)


@text_transform(name="rewrite_all_of_these_tests")
def rewrite_all(text):
    return "".join(f"{ord(character):x}" for character in text)


def test_spans_in_an_imprecise_range_are_warned_of(tokenizer):
    processor = Processor(tokenizer, TokenClassification(labels=("X",)), [rewrite_all])
    text = "漢字" * 60
    (document,) = Predictor(processor, RecordingBackend(processor)).predict([text])
    assert document.coverage.imprecise == ((0, 120),)
    from nlp_inference.document import Annotation, Span

    found = document.with_predicted(Annotation(spans=(Span(start=0, end=120, label="X"),)), coverage=document.coverage)
    with pytest.warns(ImpreciseSpanWarning, match=r"1 predicted span\(s\) cover the entire range 0:120"):
        _warn_of_imprecise_spans(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_of_imprecise_spans(found.with_predicted(Annotation(), coverage=document.coverage))


def test_a_repair_deletes_nothing():
    document = FixEncoding()(Document(raw_text=draw(ALPHABETS["Cyrillic"], 3_000).encode().decode("latin-1")))
    assert deleted_ranges(document.aligned) == ()
