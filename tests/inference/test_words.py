"""Characters and words are the same for every tokenizer, and no token ends inside a character."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import graphemes, messy_texts, sentences
from thorough import examples
from tokenizer_kinds import KINDS, make_tokenizer

from nlp_inference import Document, Processor
from nlp_inference.encoding.tokenization import tokenize
from nlp_inference.encoding.words import Characters, word_bounds

RULES = ("unicode", "whitespace", "tokenizer")
LABELS = ("PERSON", "CITY")
kinds = pytest.mark.parametrize("kind", KINDS)


def words_of(text, rule):
    starts, ends = word_bounds(Characters.of(text), rule)
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def edges_of_clusters(text):
    """Where clusters begin and end, found in the slow and simple way; white space is apart from everything else."""
    edges = {0, len(text)}
    for piece in regex.finditer(r"\s|\S+", text):
        edges |= {piece.start() + cluster.start() for cluster in regex.finditer(r"\X", piece[0])}
    for number, (before, character) in enumerate(pairwise(text), start=1):  # \X separates some marks of Myanmar
        if unicodedata.category(character)[0] == "M" and not regex.match(r"\s|\p{GCB=Control}", before):
            edges.discard(number)
    return edges | {piece.end() for piece in regex.finditer(r"\s", text)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ana Silva lives in Rome.", ["Ana", "Silva", "lives", "in", "Rome", "."]),
        ("don't  stop!!", ["don", "'", "t", "stop", "!", "!"]),
        ("snake_case 3.14 5€ x²", ["snake", "_", "case", "3", ".", "14", "5", "€", "x²"]),
        ("Jose\u0301 Zoe\u0308.", ["Jose\u0301", "Zoe\u0308", "."]),
        ("हिन्दी में क्षत्रिय।", ["हिन्दी", "में", "क्षत्रिय", "।"]),
        ("می‌خواهم، مُحَمَّد", ["می‌خواهم", "،", "مُحَمَّد"]),
        ("東京は2019年", ["東", "京", "は", "2019", "年"]),
        ("カー ｶﾞｷﾞ", ["カ", "ー", "ｶﾞ", "ｷﾞ"]),
        ("서울에서 \u1112\u1161\u11ab", ["서", "울", "에", "서", "\u1112\u1161\u11ab"]),
        ("น้ำ ๐๘๑", ["น้ำ", "๐๘๑"]),
        ("မြန်မာ အောင်း", ["မြ", "န်", "မာ", "အော", "င်း"]),
        ("Ana😀👍🏽Bo 👩‍👩‍👧", ["Ana", "😀", "👍🏽", "Bo", "👩‍👩‍👧"]),
        ("Ana\u200b\ufeffBo", ["Ana", "\u200b", "\ufeff", "Bo"]),
        (" \u0301a", ["\u0301a"]),
        ("", []),
        (" \r\n\t\u00a0\u3000\u2028\x85", []),
    ],
)
def test_what_a_word_is(text, words):
    assert words_of(text, "unicode") == words


@given(text=graphemes | messy_texts)
@settings(max_examples=examples(500))
def test_words_between_white_space_are_those_of_split(text):
    assert words_of(text, "whitespace") == text.split()


@given(text=graphemes | messy_texts)
@settings(max_examples=examples(500))
def test_words_make_up_the_text_and_end_with_characters(text):
    assert "".join(words_of(text, "unicode")) == "".join(text.split())
    edges = edges_of_clusters(text)
    assert set(np.flatnonzero(Characters.of(text).begins).tolist()) | {len(text)} | {0} == edges
    for bounds in word_bounds(Characters.of(text), "unicode"):
        assert edges.issuperset(bounds.tolist())


OF_EACH_CLASS = (
    "a \t\n\r\u200b\u00ad\u0301\u0327\u0489\u0903\u094d\u0915\u0600\u1100\u1161\u11a8\uac00\uac01\u200d\ufe0f☺👍🏽"
    "\u102c\u1038\U0001f1ee\U0001f1f9"
)
"""Code points of every class of the rules for clusters."""


def test_clusters_are_those_of_unicode_for_each_pair_and_triple_of_classes():
    for first in OF_EACH_CLASS:
        text = "\n".join(first + second + third for second in OF_EACH_CLASS for third in OF_EACH_CLASS)
        begins = set(np.flatnonzero(Characters.of(text).begins).tolist())
        assert begins | {len(text)} == edges_of_clusters(text)


@kinds
@settings(max_examples=40)
@given(text=graphemes | sentences | messy_texts)
def test_tokens_have_the_edges_of_characters_and_no_white_space_there(kind, text):
    [tokens] = tokenize(make_tokenizer(kind), [text])
    edges = edges_of_clusters(text)
    starts = tokens.offsets[:, 0].tolist()
    assert starts == sorted(starts)
    for start, end in tokens.offsets.tolist():
        assert 0 <= start <= end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert start == end or {start, end} <= edges


@kinds
@settings(max_examples=40)
@given(text=graphemes | sentences | messy_texts, rule=st.sampled_from(RULES))
def test_words_with_tokens_do_not_overlap_and_each_has_a_token_of_its_own(kind, text, rule):
    [tokens] = tokenize(make_tokenizer(kind), [text], words=rule)
    words = tokens.words
    spans = list(zip(words.starts.tolist(), words.ends.tolist(), strict=True))
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert words.tokens.tolist() == sorted(set(words.tokens.tolist()))
    for token, (start, end) in zip(words.tokens.tolist(), spans, strict=True):
        assert tokens.offsets[token, 0] < end
        assert tokens.offsets[token, 1] > start
    edges = edges_of_clusters(text)
    assert edges.issuperset(edge for span in spans for edge in span)
    covered = {place for start, end in tokens.offsets.tolist() for place in range(start, end)}
    assert covered <= {place for start, end in spans for place in range(start, end)} | {
        place for place, character in enumerate(text) if character.isspace()
    }


EXAMPLES = [
    ("Ana Silva lives in Rome.", [(0, 9, "PERSON"), (19, 23, "CITY")], RULES[:1]),
    ("Ana\tSilva\r\nRome", [(0, 9, "PERSON"), (11, 15, "CITY")], RULES[:2]),
    ("Ana\u00a0Silva\u2003Rome\u3000\u2028", [(0, 9, "PERSON"), (10, 14, "CITY")], RULES[:2]),
    ("Jose\u0301 Andre\u0301, Zoe\u0308", [(0, 12, "PERSON"), (14, 18, "PERSON")], RULES[:1]),
    ("Jose\u0301 Andre\u0301", [(0, 5, "PERSON"), (6, 12, "PERSON")], RULES[:2]),
    ("Nguye\u0302\u0303n Va\u0306n An", [(0, 16, "PERSON")], RULES[:2]),
    ("\u1112\u1161\u11ab \u1100\u1173\u11af", [(0, 3, "PERSON"), (4, 7, "CITY")], RULES[:2]),
    ("हिन्दी क्षत्रिय", [(0, 6, "PERSON")], RULES[:2]),
    ("ｶ\uff9e ﾊ\uff9f", [(0, 2, "CITY"), (3, 5, "CITY")], RULES[:2]),
    ("😀 Ana Lopez", [(2, 11, "PERSON")], RULES[:2]),
    ("👩\u200d👩\u200d👧 Ana", [(6, 9, "PERSON")], RULES[:2]),
]


WITH_A_TOKEN_OVER_THE_STOP = {"llama 2", "gemma", "gemma without bytes"}
"""Their token for the end of `Rome.` is `e.`."""


@kinds
@pytest.mark.parametrize("aggregation", ["first", "mean", "max", "none"])
def test_gold_comes_back_from_certain_outputs(kind, aggregation):
    for text, gold, rules in EXAMPLES:
        spans = [{"start": start, "end": end, "label": label} for start, end, label in gold]
        for rule in rules:
            task = {"token-classification": {"labels": LABELS, "aggregation": aggregation, "words": rule}}
            processor = Processor(make_tokenizer(kind), task, windows={"max_length": 64, "overlap": 8})
            [encoded] = processor.encode([Document(raw_text=text, gold={"spans": spans})])
            lost = [(one.span.start, one.cause) for one in processor.task.lost_spans(encoded)]
            if text.endswith("Rome.") and kind in WITH_A_TOKEN_OVER_THE_STOP and aggregation == "none":
                assert lost == [(19, "its edge lies inside a token")]
                continue
            assert lost == []
            rows = processor.rows(encoded)
            decoded = processor.decode_outputs(encoded, rows, processor.task.perfect_outputs(encoded, rows))
            assert [(span.start, span.end, span.label) for span in decoded.predicted.spans] == gold


def test_words_that_begin_with_one_token():
    tokenizer = make_tokenizer("llama 2")
    [both, one] = tokenize(tokenizer, ["who lives", "who li"])
    assert tokenizer.convert_ids_to_tokens(both.ids) == ["▁who▁li", "ves"]
    assert both.words.starts.tolist() == [0, 4]
    assert both.words.ends.tolist() == [3, 9]
    assert both.words.tokens.tolist() == [0, 1]
    assert tokenizer.convert_ids_to_tokens(one.ids) == ["▁who▁li"]
    assert (one.words.starts.tolist(), one.words.ends.tolist()) == ([0], [6])


@pytest.mark.parametrize(
    ("text", "span", "words", "cause"),
    [
        ("who li", (4, 6), "unicode", "its edge lies inside a token"),
        ("who li", (4, 6), "whitespace", "its edge lies inside a token"),
        ("who li.", (4, 6), "whitespace", "its edge lies inside a word"),
        ("in Oslo", (3, 5), "unicode", "its edge lies inside a word"),
        ("in Oslo.", (3, 7), "whitespace", "its edge lies inside a word"),
        ("in Jose\u0301", (3, 7), "unicode", "its edge lies inside a word"),
    ],
)
def test_why_gold_is_lost_with_a_tokenizer_that_joins_words(text, span, words, cause):
    task = {"token-classification": {"labels": LABELS, "words": words}}
    processor = Processor(make_tokenizer("llama 2"), task, windows={"max_length": 64, "overlap": 8})
    document = Document(raw_text=text, gold={"spans": [{"start": span[0], "end": span[1], "label": "CITY"}]})
    [encoded] = processor.encode([document])
    assert [one.cause for one in processor.task.lost_spans(encoded)] == [cause]


def test_windows_are_cut_at_words_though_the_tokenizer_knows_none():
    task = {"token-classification": {"labels": LABELS}}
    processor = Processor(make_tokenizer("gemma"), task, windows={"max_length": 12, "overlap": 0})
    [encoded] = processor.encode([Document(raw_text="Silva lives, Ana lives, Silva Ana")])
    assert [int(encoded.offsets[window.start, 0]) for window in encoded.windows] == [0, 17]


@pytest.mark.parametrize("task", ["token-classification", "span-classification"])
@pytest.mark.parametrize(
    ("text", "preprocess", "gold"),
    [
        ("Jose\u0301, Bo", {"replace_regex": {"pattern": r"\p{M}", "replacement": ""}}, (0, 5)),
        ("Zoe\u0308", {"normalize_unicode": "NFC"}, (0, 4)),
        ("👩\u200d👩\u200d👧 Bo", "remove_control", (0, 5)),
        ("Bo e\u0301\u0323", "fix_encoding", (3, 6)),
    ],
)
def test_spans_end_with_characters_where_an_edit_took_the_mark_away(task, text, preprocess, gold):
    spans = [{"start": gold[0], "end": gold[1], "label": "CITY"}]
    tokenizer = make_tokenizer("roberta")
    processor = Processor(tokenizer, {task: {"labels": LABELS}}, [preprocess], windows={"max_length": 64, "overlap": 8})
    [encoded] = processor.encode([Document(raw_text=text, gold={"spans": spans})])
    assert processor.task.lost_spans(encoded) == []
    rows = processor.rows(encoded)
    decoded = processor.decode_outputs(encoded, rows, processor.task.perfect_outputs(encoded, rows))
    assert [(span.start, span.end) for span in decoded.predicted.spans] == [gold]


def test_half_a_character_is_lost_and_the_cause_is_named():
    removed = {"replace_regex": {"pattern": r"\p{M}", "replacement": ""}}
    processor = Processor(make_tokenizer("roberta"), {"token-classification": {"labels": LABELS}}, [removed])
    spans = [{"start": 0, "end": 4, "label": "CITY"}]
    [encoded] = processor.encode([Document(raw_text="Jose\u0301", gold={"spans": spans})])
    assert [one.cause for one in processor.task.lost_spans(encoded)] == ["its edge was changed by preprocessing"]


@pytest.mark.parametrize("task", ["token-classification", "span-classification"])
def test_gold_that_was_read_is_not_blamed_on_truncation(tokenizer, task):
    windows = {"max_length": 6, "overlap": 0, "on_overflow": "truncate"}
    processor = Processor(tokenizer, {task: {"labels": LABELS}}, windows=windows)
    text = "a \x07 bcd e f g h i"
    places = [(0, 1), (2, 3), (4, 6), (16, 17)]
    spans = [{"start": start, "end": end, "label": "CITY"} for start, end in places]
    [encoded] = processor.encode([Document(raw_text=text, gold={"spans": spans})])
    assert encoded.truncated
    lost = [((one.span.start, one.span.end), one.cause) for one in processor.task.lost_spans(encoded)]
    assert lost == [
        ((2, 3), "no token of its own"),
        ((4, 6), "its edge lies inside a word"),
        ((16, 17), "beyond the window that is read"),
    ]
