"""Texts that occur again, exactly or almost, in one split and across splits."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import messy_texts

from nlp_inference import Annotation, Category, Document
from nlp_training.data_report import near_duplicates as module
from nlp_training.data_report.duplicates import Duplicates, DuplicateSearch, text_read
from nlp_training.data_report.near_duplicates import THRESHOLD, NearDuplicates, NearText, shingles

WORDS = ("card", "bank", "transfer", "money", "where", "lost", "today", "please", "account", "why")


def search(splits: dict[str, list[tuple[str, str]]]) -> Duplicates:
    """Search made-up documents: of each split the texts and their labels."""
    found = DuplicateSearch("category", text_read)
    for split, pairs in splits.items():
        documents = [
            Document(id=f"{split}-{index}", raw_text=text, gold=Annotation(categories=(Category(label=label),)))
            for index, (text, label) in enumerate(pairs)
        ]
        found.add(split, documents, [document.raw_text for document in documents])
    return found.finish()


def counts(tallies):
    return {key: tally.count for key, tally in tallies.items()}


def test_the_same_text_is_counted_within_a_split_and_across_each_pair_of_splits():
    found = search(
        {
            "train": [("Where is my card?", "x"), ("Where is my card?", "x"), ("Hello", "x"), ("", "x"), (" ", "x")],
            "validation": [("Hello", "x"), ("Where is my card?", "x"), ("", "x")],
            "test": [("Where is my card?", "x"), ("Good morning to all", "x")],
        }
    )
    assert counts(found.exact) == {
        ("train", "train"): 1,
        ("train", "validation"): 2,
        ("train", "test"): 1,
        ("validation", "test"): 1,
    }
    assert found.exact["train", "test"].examples == ["test-0 'Where is my card?' and train-0"]
    assert counts(found.near) == {}
    assert counts(found.contradictions) == {}


def test_one_text_with_other_gold_is_a_contradiction_in_the_later_split():
    found = search({"train": [("Hello", "x"), ("Hello", "y"), ("Bye", "y")], "test": [("Bye", "x"), ("Hello", "x")]})
    assert counts(found.contradictions) == {"train": 1, "test": 1}


def test_almost_the_same_text_is_counted_once_for_each_split_that_has_it():
    found = search(
        {
            "train": [("Where is my new card, please?", "x"), ("where is my new card please", "x")],
            "test": [("Where is my new card, please", "x"), ("Something else altogether", "x")],
        }
    )
    assert counts(found.near) == {("train", "train"): 1, ("train", "test"): 1}
    assert found.near["train", "test"].examples == [
        "test-0 'Where is my new card, please' is 100% like train-0 'Where is my new card, please?'"
    ]


def test_a_text_that_stands_in_validation_too_is_still_looked_for_in_train():
    card = "Where is my new card, please"
    found = search(
        {
            "train": [(f"{card}?", "x"), ("Something else altogether", "x")],
            "validation": [(card, "x")],
            "test": [(card, "x"), ("Something else altogether", "x")],
        }
    )
    assert counts(found.exact) == {("validation", "test"): 1, ("train", "test"): 1}
    assert counts(found.near) == {("train", "validation"): 1, ("train", "test"): 1}


def test_of_a_split_with_the_very_text_no_near_duplicate_is_told():
    card = "Where is my new card, please"
    found = search({"train": [(card, "x"), (f"{card}?", "x")], "test": [(card, "x")]})
    assert counts(found.exact) == {("train", "test"): 1}
    assert counts(found.near) == {("train", "train"): 1}


def test_pairs_are_compared_with_both_texts():
    gold = Annotation(categories=(Category(label="x"),))
    documents = [Document(raw_text="A dog", raw_text_pair=pair, gold=gold) for pair in ("A cat", "No cat", "A cat")]
    found = DuplicateSearch("category", text_read)
    found.add("train", documents, [text_read(document) for document in documents])
    assert counts(found.finish().exact) == {("train", "train"): 1}


def test_nothing_is_found_where_nothing_is():
    assert search({"train": []}) == search({}) == Duplicates()


def jaccard(one: str, other: str) -> float:
    return len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))


def near_duplicates(texts: list[str], *, chunk: int) -> list[tuple[int, int, float]]:
    near = NearDuplicates(texts.__getitem__)
    for start in range(0, len(texts), chunk):
        positions = range(start, min(start + chunk, len(texts)))
        near.add([NearText(texts[position], position) for position in positions], group=0)
    return [tuple(pair) for pair in near.find()]


def test_all_near_duplicates_of_some_hundred_texts_are_found():
    draw = random.Random(0)  # noqa: S311 - texts, not secrets
    texts = [" ".join(draw.choices(WORDS, k=9)) for _ in range(100)]
    texts += [text.replace(draw.choice(WORDS), draw.choice(WORDS)) + draw.choice(" !x") for text in texts]
    sets = [shingles(text) for text in texts]
    expected = {
        later
        for earlier, later in combinations(range(len(texts)), 2)
        if len(sets[earlier] & sets[later]) >= THRESHOLD * len(sets[earlier] | sets[later])
    }
    found = near_duplicates(texts, chunk=64)
    assert len(expected) > 30
    assert {position for position, _, _ in found} == expected
    assert len(found) == len(expected)
    assert all(jaccard(texts[position], texts[earlier]) == similarity for position, earlier, similarity in found)


@pytest.mark.parametrize("block", [9, 10, 64, 1000])
def test_signatures_do_not_depend_on_how_many_characters_are_hashed_at_once(monkeypatch, block):
    draw = random.Random(1)  # noqa: S311 - texts, not secrets
    texts = ["     ", *(" ".join(draw.choices(WORDS, k=count)) for count in (1, 40, 2, 9, 90, 1))]
    expected = module._band_hashes(texts)
    monkeypatch.setattr(module, "_BLOCK", block)
    assert all(sum(map(len, stretches)) <= block for _, stretches in module._blocks(texts))
    assert module._band_hashes(texts).tolist() == expected.tolist()


def test_what_is_found_does_not_depend_on_how_many_shingles_are_kept(monkeypatch):
    draw = random.Random(2)  # noqa: S311 - texts, not secrets
    texts = [" ".join(draw.choices(WORDS[:4], k=9)) for _ in range(60)]
    expected = near_duplicates(texts, chunk=64)
    monkeypatch.setattr(module, "_KEPT", 0)
    assert near_duplicates(texts, chunk=64) == expected != []


@settings(max_examples=40)
@given(texts=st.lists(messy_texts, min_size=1, max_size=12), chunk=st.integers(1, 12))
def test_what_is_found_is_there_however_the_texts_are_cut_into_chunks(texts, chunk):
    found = near_duplicates(texts, chunk=chunk)
    assert found == near_duplicates(texts, chunk=len(texts))
    assert all(earlier < position and similarity >= THRESHOLD for position, earlier, similarity in found)
    first = {}
    for position, text in enumerate(texts):
        assert first.setdefault(text, position) == position or position in {later for later, _, _ in found}
