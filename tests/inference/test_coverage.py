"""Coverage: how much of a text the model read is in every prediction, and what was not read is said."""

import copy
import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from fakes import RecordingBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from strategies import chains, messy_texts, sentences
from thorough import examples
from tokenizer_kinds import KINDS, make_tokenizer
from tokenizers import Regex, Tokenizer, normalizers
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from nlp_inference import Document, Predictor, Processor, TextClassification, TokenClassification
from nlp_inference.cli import app
from nlp_inference.document import Coverage
from nlp_inference.document.aligned_text import Edit
from nlp_inference.files.records import to_json_line
from nlp_inference.rendering import document_html
from nlp_inference.transforms import Transform

TASK = TokenClassification(labels=("CITY",))
SPLIT = {"max_length": 6, "overlap": 0}
TRUNCATE = {**SPLIT, "on_overflow": "truncate"}


class WrapInInvisible(Transform):
    """Turns every x into an x between characters that have no token."""

    name = "wrap_in_invisible_of_these_tests"

    def propose(self, text):
        return [Edit(at, at + 1, "\u200bx\u200b") for at, character in enumerate(text) if character == "x"]


def coverage_of(tokenizer, document, *, preprocess=(), windows=None):
    (encoded,) = Processor(tokenizer, TASK, preprocess, windows=windows).encode([document])
    return encoded.coverage()


@pytest.mark.parametrize(
    ("text", "windows", "expected"),
    [
        ("", None, Coverage(characters=0, read=0, windows=1)),
        (" \n ", None, Coverage(characters=3, read=3, windows=1)),
        ("Ana lives", None, Coverage(characters=9, read=9, windows=1)),
        ("a b c d e f", SPLIT, Coverage(characters=11, read=11, windows=2)),
        ("a b c d e f", TRUNCATE, Coverage(characters=11, read=7, windows=1, truncated=True, unread=((7, 11),))),
        ("a b c d", TRUNCATE, Coverage(characters=7, read=7, windows=1)),
        ("\u200bAna \x00 lives", None, Coverage(characters=12, read=8, windows=1, unread=((0, 1), (4, 7)))),
        (
            "\u200ba b c d e",
            TRUNCATE,
            Coverage(characters=10, read=7, windows=1, truncated=True, unread=((0, 1), (8, 10))),
        ),
        ("unaffable " * 2, TRUNCATE, Coverage(characters=20, read=9, windows=1, truncated=True, unread=((9, 20),))),
    ],
)
def test_what_is_read_of_a_text(tokenizer, text, windows, expected):
    assert coverage_of(tokenizer, Document(raw_text=text), windows=windows) == expected


@pytest.mark.parametrize(
    ("text", "pair", "windows", "expected"),
    [
        ("Ana", "lives", None, Coverage(characters=8, read=8, windows=1)),
        ("Ana", "", None, Coverage(characters=3, read=3, windows=1)),
        ("Ana", "\u200bin Rome", None, Coverage(characters=11, read=10, windows=1, unread_pair=((0, 1),))),
        (
            "\u200bAna",
            "in \x00\x00 Rome \u200b",
            None,
            Coverage(characters=16, read=9, windows=1, unread=((0, 1),), unread_pair=((2, 6), (10, 12))),
        ),
        (
            "a b c d e f",
            "g \u200b",
            {"max_length": 8, "overlap": 0, "on_overflow": "truncate"},
            Coverage(characters=14, read=8, windows=1, truncated=True, unread=((7, 11),), unread_pair=((1, 3),)),
        ),
        ("a b c d e f", "g", {"max_length": 8, "overlap": 0}, Coverage(characters=12, read=12, windows=2)),
    ],
)
def test_what_is_read_of_a_pair(tokenizer, text, pair, windows, expected):
    assert coverage_of(tokenizer, Document(raw_text=text, raw_text_pair=pair), windows=windows) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>Ana</b>", Coverage(characters=10, read=10, windows=1)),
        ("<b>\u200b</b>", Coverage(characters=8, read=7, windows=1, unread=((3, 4),))),
        ("&ZeroWidthSpace; Ana", Coverage(characters=20, read=3, windows=1, unread=((0, 17),))),
    ],
)
def test_what_preprocessing_removed_is_read_and_what_it_wrote_is_told_on_the_raw_text(tokenizer, text, expected):
    assert coverage_of(tokenizer, Document(raw_text=text), preprocess=["strip_html"]) == expected


def test_what_preprocessing_inserted_is_no_part_of_the_raw_text(tokenizer):
    inserted = {"replace_regex": {"pattern": "(?=a)", "replacement": "\u200b"}}
    found = coverage_of(tokenizer, Document(raw_text="banana"), preprocess=[inserted])
    assert found == Coverage(characters=6, read=6, windows=1)


def test_a_stretch_is_named_once_though_an_edit_made_two_of_it(tokenizer):
    found = coverage_of(tokenizer, Document(raw_text="a x b"), preprocess=[WrapInInvisible()])
    assert found == Coverage(characters=5, read=2, windows=1, unread=((1, 4),))


@settings(max_examples=60)
@given(
    text=messy_texts | sentences,
    pair=messy_texts.map(lambda text: text[:40]) | st.none(),
    chain=chains,
    overflow=st.sampled_from(["split", "truncate"]),
)
def test_read_and_unread_add_up_and_a_pair_is_covered_like_a_text_of_its_own(tokenizer, text, pair, chain, overflow):
    windows = {"max_length": 200, "overlap": 4, "on_overflow": overflow}
    found = coverage_of(tokenizer, Document(raw_text=text, raw_text_pair=pair), preprocess=chain, windows=windows)
    for stretches, length in ((found.unread, len(text)), (found.unread_pair, len(pair or ""))):
        edges = [edge for stretch in stretches for edge in stretch]
        assert edges == sorted(edges)
        assert all(0 <= start < end <= length for start, end in stretches)
    not_read = [
        {place for start, end in stretches for place in range(start, end)}
        for stretches in (found.not_seen, found.not_seen_pair)
    ]
    assert found.characters == len(text) + len(pair or "")
    assert found.read == found.characters - sum(map(len, not_read))
    assert found.unread_pair == coverage_of(tokenizer, Document(raw_text=pair or ""), preprocess=chain).unread


# --- in a prediction ---


@pytest.fixture(scope="module")
def truncating(tokenizer):
    processor = Processor(tokenizer, TextClassification(labels=("ham", "spam")), windows={**TRUNCATE, "max_length": 8})
    return Predictor(processor, RecordingBackend(processor))


@pytest.fixture(scope="module")
def partly_read(truncating):
    """`a b c d` of eleven characters, and `g` of a text pair."""
    (document,) = truncating.predict([Document(id="7", raw_text="a b c d e f", raw_text_pair="g \u200b")])
    return document


def test_the_json_of_a_prediction_says_what_was_read(truncating, partly_read):
    whole, cut = truncating.predict(["a b", "a b c d e f g"])
    assert json.loads(to_json_line(whole))["coverage"] == {"characters": 3, "read": 3, "windows": 1}
    assert json.loads(to_json_line(cut))["coverage"] == {
        "characters": 13,
        "read": 11,
        "windows": 1,
        "truncated": True,
        "unread": [[11, 13]],
    }
    assert json.loads(to_json_line(partly_read))["coverage"]["unread_pair"] == [[1, 3]]
    assert Document.model_validate_json(to_json_line(partly_read)) == partly_read


def test_the_repr_of_a_prediction_says_what_was_read(partly_read):
    expected = (
        "coverage=Coverage(characters=14, read=8, windows=1, truncated=True, unread=((7, 11),), unread_pair=((1, 3),), "
    )
    assert expected in repr(partly_read)


def test_a_drawn_prediction_says_what_was_not_read_and_marks_it_in_both_texts(partly_read):
    note = "The model did not see everything: 6 of 14 characters were not read, in 2 places; the text was truncated."
    html = document_html(partly_read)
    assert note in html
    marked = re.findall(r'<span class="nlpi-unread">(.*?)</span>', html)
    assert marked == [" e f", ' <i class="nlpi-glyph" title="U+200B">⟨U+200B⟩</i>']
    screen = Console(file=StringIO(), width=160, force_terminal=True, color_system="standard")
    screen.print(partly_read)
    drawn = screen.file.getvalue()
    assert note in drawn
    assert re.findall(r"\x1b\[2;9m(.*?)\x1b\[0m", drawn) == [" e f", " ⟨U+200B⟩"]


def test_one_character_that_was_not_read_is_in_the_singular(truncating):
    (document,) = truncating.predict(["\u200b"])
    assert "1 of 1 character were not read, in 1 place." in document_html(document)


def test_predict_counts_the_documents_that_were_not_read_whole(saved_model, tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("Ana\nAna\u200b\nRome\n" + "word " * 40 + "\n", encoding="utf-8")
    config = saved_model / "processor_config.json"
    model = tmp_path / "model"
    model.mkdir()
    for file in saved_model.iterdir():
        (model / file.name).symlink_to(file)
    (model / config.name).unlink()
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["windows"]["on_overflow"] = "truncate"
    (model / config.name).write_text(json.dumps(settings), encoding="utf-8")
    result = CliRunner().invoke(app, ["predict", str(model), str(source)])
    assert result.exit_code == 0, result.output
    said = "2 document(s) were not read completely, 1 of them truncated; the coverage of each states what was not read"
    assert result.stderr.splitlines()[-1] == said
    read = [json.loads(line)["coverage"]["read"] for line in result.stdout.splitlines()]
    assert read == [3, 3, 4, 22 * 5]


def test_predict_is_silent_when_all_was_read(saved_model):
    result = CliRunner().invoke(app, ["predict", str(saved_model), "-"], input="Ana\n" + "word " * 40 + "\n")
    assert "not read" not in result.stderr


THAI = "ผมชื่อสมชายอาศัยอยู่กรุงเทพ"


def test_letters_under_an_unknown_token_are_counted_apart(tokenizer):
    coverage = coverage_of(tokenizer, Document(raw_text=THAI * 6))
    assert coverage == Coverage(characters=162, read=0, windows=1, unknown=((0, 162),))
    assert not coverage.complete


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (Document(raw_text=f"Ana {THAI} Bo"), Coverage(characters=34, read=7, windows=1, unknown=((4, 31),))),
        (Document(raw_text="🫩🫩 🫩"), Coverage(characters=4, read=1, windows=1, unknown=((0, 2), (3, 4)))),
        (Document(raw_text="Ana [UNK]"), Coverage(characters=9, read=4, windows=1, unknown=((4, 9),))),
        (
            Document(raw_text="Ana", raw_text_pair=f"Bo {THAI}"),
            Coverage(characters=33, read=6, windows=1, unknown_pair=((3, 30),)),
        ),
    ],
)
def test_unknown_tokens_of_texts_and_pairs(tokenizer, document, expected):
    assert coverage_of(tokenizer, document) == expected


def test_unknown_tokens_are_told_in_the_raw_text(tokenizer):
    document = Document(raw_text=f"<b>Ana</b> &lt;{THAI}")
    coverage = coverage_of(tokenizer, document, preprocess=["strip_html"])
    assert coverage.unknown == ((15, 42),)


@pytest.mark.parametrize("kind", ["bert uncased", "xlm-r", "gemma without bytes"])
@pytest.mark.parametrize("unk_token", [None, "[MASK]"])
def test_unknown_tokens_are_those_that_the_model_of_the_tokenizer_writes(kind, unk_token):
    tokenizer = copy.deepcopy(make_tokenizer(kind))
    tokenizer.unk_token = unk_token
    assert coverage_of(tokenizer, Document(raw_text="Ana ☃☃ Rome")).unknown == ((4, 6),)


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Rome\U000e0048\U000e0069 Bo", ((4, 6),)),
        ("Ro\U000e0048\U000e0069me", ((2, 4),)),
        ("<b>Ro\U000e0048</b>me", ((5, 6),)),
        ("Rome\u0301 Ro\u200bme", ()),
    ],
)
def test_letters_that_the_tokenizer_deletes_inside_a_token_are_unread(tokenizer, text, unread):
    coverage = coverage_of(tokenizer, Document(raw_text=text), preprocess=["strip_html"])
    assert coverage.unread == unread
    assert coverage.read == len(text) - sum(end - start for start, end in unread)


def test_digits_that_a_normalizer_deletes_are_unread():
    backend = Tokenizer.from_str(make_tokenizer("bert cased").backend_tokenizer.to_str())
    backend.normalizer = normalizers.Replace(Regex(r"\d+"), "")
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, **names)
    assert coverage_of(tokenizer, Document(raw_text="An4a", raw_text_pair="Ro77me")) == Coverage(
        characters=10, read=7, windows=1, unread=((2, 3),), unread_pair=((2, 4),)
    )


def test_unknown_text_behind_the_window_is_unread_only(tokenizer):
    coverage = coverage_of(tokenizer, Document(raw_text=f"a b c d e {THAI}"), windows=TRUNCATE)
    assert (coverage.unread, coverage.unknown) == (((7, 37),), ())


@pytest.mark.parametrize(("kind", "unknown"), [("gemma", ()), ("gemma without bytes", ((4, 7), (8, 10)))])
def test_a_tokenizer_that_falls_back_to_bytes_knows_everything(kind, unknown):
    assert coverage_of(make_tokenizer(kind), Document(raw_text="Ana ЖЖЖ ЖЖ")).unknown == unknown


@settings(max_examples=examples(200))
@given(text=messy_texts | sentences, kind=st.sampled_from(KINDS))
def test_what_was_not_read_is_counted_once(text, kind):
    coverage = coverage_of(make_tokenizer(kind), Document(raw_text=text))
    not_read = {place for start, end in (*coverage.unread, *coverage.unknown) for place in range(start, end)}
    assert coverage.read == len(text) - len(not_read)
    for start, end in coverage.unknown:
        assert not any(character.isspace() for character in text[start:end])


@given(texts=st.lists(messy_texts | sentences, min_size=1, max_size=4), kind=st.sampled_from(KINDS))
@settings(max_examples=examples(60), deadline=None)
def test_what_is_found_for_many_texts_at_once_is_what_each_token_shows(texts, kind):
    for one in Processor(make_tokenizer(kind), TASK).encode([Document(raw_text=text) for text in texts]):
        assert replace(one, complete=False).coverage() == one.coverage()
