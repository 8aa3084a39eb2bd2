"""Splits: seeded, in proportion, and no group in two of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_inference.document import Annotation, Category, Document
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.splits import labels_of, parse_shares, split_documents

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def labelled(label: str, number: int) -> Document:
    gold = Annotation(categories=(Category(label=label),))
    return Document(raw_text=f"{label} {number}", id=f"{label}-{number}", gold=gold, metadata={"source": number // 10})


CORPUS = [labelled("common", number) for number in range(800)] + [labelled("rare", number) for number in range(40)]


def test_every_document_is_in_one_split_of_the_size_asked_for():
    splits = split_documents(CORPUS, SHARES)
    assert sorted(document.id for split in splits.values() for document in split) == sorted(one.id for one in CORPUS)
    assert {name: len(split) for name, split in splits.items()} == {"train": 672, "validation": 84, "test": 84}


def test_every_split_has_its_share_of_each_label():
    splits = split_documents(CORPUS, SHARES, seed=3)
    counts = {name: [labels_of(one)[0] for one in split].count("rare") for name, split in splits.items()}
    assert counts == {"train": 32, "validation": 4, "test": 4}


def test_the_seed_decides():
    assert split_documents(CORPUS, SHARES, seed=1) == split_documents(CORPUS, SHARES, seed=1)
    assert split_documents(CORPUS, SHARES, seed=1) != split_documents(CORPUS, SHARES, seed=2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from("abc")), min_size=60), st.booleans())
def test_no_group_is_in_two_splits(rows, stratify):
    documents = [
        Document(raw_text=str(at), gold=Annotation(categories=(Category(label=label),)), metadata={"key": key})
        for at, (key, label) in enumerate(rows)
    ]
    try:
        splits = split_documents(documents, {"train": 0.5, "test": 0.5}, group_by="metadata.key", stratify=stratify)
    except InvalidDataError as error:
        assert "would be empty" in str(error)  # noqa: PT017 - one group can fill one split only
        assert len({key for key, _ in rows}) < 4
        return
    train, test = ({document.metadata["key"] for document in split} for split in splits.values())
    assert not train & test


def test_the_same_text_can_be_kept_together():
    twice = [Document(raw_text=f"text {number % 10}") for number in range(20)]
    splits = split_documents(twice, {"train": 0.5, "test": 0.5}, group_by="text")
    assert not {one.raw_text for one in splits["train"]} & {one.raw_text for one in splits["test"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"train": 0.9, "test": 0.2}}, "with the sum 1"),
        ({"shares": {"train": 1.1, "test": -0.1}}, "with the sum 1"),
        (
            {"shares": SHARES, "group_by": "source"},
            "cannot group by 'source'; use text, or a key such as metadata.source",
        ),
        (
            {"shares": SHARES, "group_by": "metadata.page"},
            "document 'a' has no metadata.page; its metadata has 'source'",
        ),
        ({"shares": SHARES}, "the split 'validation' would be empty: there are 2 documents in 2 groups"),
    ],
)
def test_what_cannot_be_split(options, message):
    documents = [Document(raw_text="x", id=name, metadata={"source": 1}) for name in "ab"]
    with pytest.raises(InvalidDataError, match=message):
        split_documents(documents, **options)


@pytest.mark.parametrize("text", ["train", "train=", "train=x", "train=0.5,train=0.5", "=1", "train=0.7,test=0.2"])
def test_shares_that_cannot_be_read(text):
    with pytest.raises(InvalidDataError):
        parse_shares(text)
