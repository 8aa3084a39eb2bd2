"""Tokens of three families of tokenizers: their places in the text, without white space, and where words begin."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import messy_texts, sentences
from thorough import examples
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from nlp_inference.encoding.tokenization import tokenize
from nlp_inference.errors import InvalidSpecError

PAD = {"pad_token": "<pad>"}
SPECIAL = {**PAD, "unk_token": "<unk>"}
CORPUS = ["Ana lives in Rome", "Rome, Rome and the unbelievable café", "she lives there"] * 3


def byte_level():
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<pad>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **PAD, model_max_length=64)


def metaspace():
    pieces = [("<pad>", 0.0), ("<unk>", 0.0), ("▁Ana", -2.0), ("▁lives", -2.0), ("▁in", -2.0), ("▁Rome", -2.0)]
    letters = [(letter, -9.0) for letter in "▁ARabcdefghijklmnopqrstuvwxyzé,."]
    backend = Tokenizer(models.Unigram([*pieces, *letters], unk_id=1, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL, model_max_length=64)


@pytest.fixture(scope="module")
def tokenizers(tokenizer):
    return {"word pieces": tokenizer, "byte level": byte_level(), "metaspace": metaspace()}


families = pytest.mark.parametrize("family", ["word pieces", "byte level", "metaspace"])


def surfaces(text, tokens):
    return [text[start:end] for start, end in tokens.offsets.tolist()]


def words_of(text, tokens):
    starts = tokens.word_starts.tolist()
    return [
        text[tokens.offsets[start, 0] : tokens.offsets[end - 1, 1]]
        for start, end in zip(starts, [*starts[1:], len(tokens.ids)], strict=False)
    ]


@families
def test_words_are_found_without_the_white_space_before_them(tokenizers, family):
    text = "Ana lives in  Rome"
    (tokens,) = tokenize(tokenizers[family], [text])
    assert [word.strip() for word in words_of(text, tokens)] == ["Ana", "lives", "in", "Rome"]
    assert not [surface for surface in surfaces(text, tokens) if surface != surface.strip()]


@pytest.mark.parametrize(
    ("family", "text", "pieces"),
    [
        ("word pieces", "unbelievably,", ["un", "bel", "ie", "va", "bly", ","]),
        ("metaspace", "Ana lives", ["Ana", "lives"]),
        ("metaspace", "in Rome.", ["in", "Rome", "."]),
    ],
)
def test_exact_pieces(tokenizers, family, text, pieces):
    (tokens,) = tokenize(tokenizers[family], [text])
    assert surfaces(text, tokens) == pieces


def test_the_bytes_of_one_character_all_stand_at_its_place(tokenizers):
    (tokens,) = tokenize(tokenizers["byte level"], ["a👍"])
    assert {tuple(offset) for offset in tokens.offsets.tolist()[1:]} == {(1, 2)}
    assert len(tokens.ids) == 5


def test_offsets_are_code_points_not_bytes(tokenizers):
    for tokenizer in tokenizers.values():
        (tokens,) = tokenize(tokenizer, ["𝔘👍é Rome"])
        assert tokens.offsets[-1, 1] == 8


@families
@settings(max_examples=examples(200))
@given(text=messy_texts | sentences)
def test_offsets_stay_inside_in_order_and_without_white_space(tokenizers, family, text):
    (tokens,) = tokenize(tokenizers[family], [text])
    assert len(tokens.ids) == len(tokens.offsets)
    starts = tokens.offsets[:, 0].tolist()
    assert starts == sorted(starts)
    for start, end in tokens.offsets.tolist():
        assert 0 <= start <= end <= len(text)
        assert text[start:end] == text[start:end].strip()
    word_starts = tokens.word_starts.tolist()
    assert word_starts == sorted(set(word_starts))
    filled = [index for index, (start, end) in enumerate(tokens.offsets.tolist()) if start < end]
    assert word_starts[:1] == filled[:1]
    assert set(word_starts) <= set(filled)


@families
@settings(max_examples=50)
@given(texts=st.lists(messy_texts, max_size=4))
def test_texts_do_not_influence_each_other(tokenizers, family, texts):
    together = tokenize(tokenizers[family], texts)
    for text, tokens in zip(texts, together, strict=True):
        (alone,) = tokenize(tokenizers[family], [text])
        assert [array.tolist() for array in tokens[:3]] == [array.tolist() for array in alone[:3]]
        assert [array.tolist() for array in tokens.words[:3]] == [array.tolist() for array in alone.words[:3]]


def test_what_others_set_on_the_tokenizer_does_not_cut_or_pad(tokenizers):
    tokenizer = tokenizers["byte level"]
    whole = tokenize(tokenizer, ["Ana lives in Rome"])[0].ids.tolist()
    tokenizer(["Ana lives", "Ana"], truncation=True, max_length=2, padding="max_length")
    assert tokenize(tokenizer, ["Ana lives in Rome"])[0].ids.tolist() == whole


def test_no_text_gives_no_tokens(tokenizer):
    (tokens,) = tokenize(tokenizer, [""])
    assert (tokens.ids.shape, tokens.offsets.shape, tokens.word_starts.shape) == ((0,), (0, 2), (0,))
    assert tokenize(tokenizer, []) == []


def test_a_slow_tokenizer_is_refused():
    class Slow(PreTrainedTokenizerBase):
        is_fast = False

    with pytest.raises(InvalidSpecError, match="Slow returns no offsets; load a fast tokenizer"):
        tokenize(Slow(), ["a"])


def test_white_space_between_words_is_no_word(tokenizers):
    (tokens,) = tokenize(tokenizers["byte level"], ["a\n\nb  c"])
    assert [tokens.offsets[start].tolist() for start in tokens.word_starts] == [[0, 1], [3, 4], [6, 7]]
