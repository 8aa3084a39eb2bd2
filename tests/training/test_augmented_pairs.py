"""Augmentations change both texts of a pair, each by a draw of its own; the gold is about the first one."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import sentences

from nlp_inference import Annotation, Category, Document, Processor, Span
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.transforms import Compose
from nlp_training.augment import Augmentation, AugmentationWarning, Augmenter
from nlp_training.batches.augmented_epochs import AugmentedWindows

ONE_TEXT = ("join_documents", "replace_entities")
ANY_TEXT = sorted(
    name
    for name, one in Augmentation.members.items()
    if one.__module__.startswith("nlp_training.") and name not in ONE_TEXT
)
GOLD = Annotation(categories=(Category(label="entails"),), spans=(Span(start=0, end=3, label="PERSON"),))


def pair(first: str = "Ana lives in Rome", second: str = "She lives there", **fields: Any) -> Document:
    return Document(raw_text=first, raw_text_pair=second, gold=GOLD, **fields)


def texts(specs: Iterable[Any], document: Document, *, epochs: int = 1) -> set[tuple[str, str | None]]:
    augmenter = Augmenter(list(specs))
    after = [augmenter(document, epoch=epoch).document for epoch in range(epochs)]
    return {(one.raw_text, one.raw_text_pair) for one in after}


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("both", ("ANA LIVES IN ROME", "SHE LIVES THERE")),
        ("first", ("ANA LIVES IN ROME", "She lives there")),
        ("second", ("Ana lives in Rome", "SHE LIVES THERE")),
    ],
)
def test_texts_says_which_texts_of_a_pair_change(which: str, expected: tuple[str, str]) -> None:
    upper = {"change_case": {"probability": 1, "to": "upper", "texts": which}}
    assert texts([upper], pair()) == {expected}
    augmented = Augmenter([upper])(pair(id="7", metadata={"source": "test"}), epoch=0).document
    assert augmented == pair(*expected, id="7", metadata={"source": "test"})


def test_each_text_of_a_pair_has_a_draw_of_its_own() -> None:
    found = texts([{"change_case": {"probability": 0.5, "to": "upper"}}], pair(), epochs=40)
    firsts, seconds = ("Ana lives in Rome", "ANA LIVES IN ROME"), ("She lives there", "SHE LIVES THERE")
    assert found == {(first, second) for first in firsts for second in seconds}


def test_the_first_text_becomes_what_it_would_be_alone() -> None:
    specs = [{name: 0.7} for name in ANY_TEXT]
    alone = Document(id="1", raw_text=pair().raw_text, gold=GOLD)
    for epoch in range(20):
        first = Augmenter(specs)(alone, epoch=epoch).document
        of_pair = Augmenter(specs)(pair(id="1"), epoch=epoch).document
        assert (first.raw_text, first.gold) == (of_pair.raw_text, of_pair.gold)
        assert first.raw_text_pair is None


@pytest.mark.parametrize("name", ANY_TEXT)
@settings(max_examples=10)
@given(first=sentences, second=sentences, seed=st.integers(0, 99))
def test_the_records_of_both_texts_lead_to_what_training_reads(name: str, first: str, second: str, seed: int) -> None:
    document = Document(raw_text=first, raw_text_pair=second, gold=Annotation(categories=(Category(label="a"),)))
    augmented = Augmenter([{name: 1.0}], seed=seed)(document, epoch=0)
    shown = augmented.as_edits()
    assert (shown.text, shown.text_pair) == (augmented.document.raw_text, augmented.document.raw_text_pair)
    assert (shown.raw_text, shown.raw_text_pair) == (first, second)
    assert augmented.document.gold == document.gold
    assert {record.transform for record in (*augmented.records, *augmented.records_pair)} <= {name}


@settings(max_examples=20)
@given(second=sentences, seed=st.integers(0, 99))
def test_what_preprocessing_undoes_it_undoes_in_the_second_text_too(second: str, seed: int) -> None:
    document = Document(raw_text="Is it?", raw_text_pair=second.replace("cafÃ©", "café").replace("&amp;", "&"))
    clean = Compose(["fix_encoding", "strip_html", "remove_control", "normalize_punctuation", "collapse_whitespace"])
    mess = [{name: 1.0} for name in ("curly_punctuation", "wrap_html", "break_encoding")]
    augmented = Augmenter(mess, seed=seed)(document, epoch=0).document
    assert clean(augmented).text_pair == clean(document).text_pair


def test_a_gold_span_of_the_first_text_protects_nothing_in_the_second() -> None:
    drop = {"drop_words": {"probability": 1, "max_share": 1}}
    document = Document(raw_text="Ana", raw_text_pair="Ana Bo", gold=Annotation(spans=GOLD.spans))
    assert texts([drop], document, epochs=20) == {("Ana", second) for second in ("Ana ", "Bo", "Ana Bo")}  # never ""


@pytest.mark.parametrize("name", ONE_TEXT)
def test_what_is_about_gold_or_whole_documents_takes_the_first_text_only(name: str) -> None:
    with pytest.raises(InvalidSpecError, match="texts"):
        Augmentation.from_spec({name: {"texts": "both"}})
    train = [pair(second="Other words"), Document(raw_text="Bob", gold=GOLD)]
    augmented = Augmenter([{name: 1.0}], train)(pair(), epoch=0)
    assert augmented.document.raw_text_pair == "She lives there"
    assert augmented.records_pair == ()


def test_the_windows_of_an_epoch_have_the_second_text_of_that_epoch(text_processor: Processor) -> None:
    document = Document(
        id="1", raw_text="Hello", raw_text_pair="see you", gold=Annotation(categories=(Category(label="ham"),))
    )
    doubled = {"keyboard_typos": {"probability": 1, "slips": ["double"], "max_share": 1, "texts": "second"}}
    windows = AugmentedWindows([document], text_processor, Augmenter([doubled]))
    read = {windows[windows.plan(epoch).items[0]].raw_text_pair for epoch in range(6)}  # type: ignore[union-attr]
    assert len(read) > 1
    assert "see you" not in read
    assert [len(windows.plan(0).items), windows.plan(0).lengths] == [
        1,
        [len(text_processor(["Hello"])["input_ids"][0]) - 2 + _tokens(text_processor, windows, 0)],
    ]


def test_a_second_text_that_would_outgrow_the_window_stays_as_it_arrived(text_processor: Processor) -> None:
    narrow = Processor(text_processor.tokenizer, text_processor.task, windows={"max_length": 12, "overlap": 0})
    doubled = {"keyboard_typos": {"probability": 1, "slips": ["double"], "max_share": 1, "texts": "both"}}
    gold = Annotation(categories=(Category(label="ham"),))
    fitting = Document(id="1", raw_text="Hello there", raw_text_pair="see", gold=gold)
    filling = Document(id="2", raw_text="Hello there", raw_text_pair="one two three four five six", gold=gold)
    free, bound = Augmenter([doubled]), Augmenter([doubled]).within(narrow)
    assert bound(fitting, epoch=0) == free(fitting, epoch=0)
    with pytest.raises(InvalidDocumentError, match="its text pair of"):
        narrow.encode([free(filling, epoch=0).document])
    with pytest.warns(AugmentationWarning, match="text pair of document '2' too long for a window; it is not"):
        augmented = bound(filling, epoch=0)
    assert augmented.document.raw_text == free(filling, epoch=0).document.raw_text != filling.raw_text
    assert augmented.document.raw_text_pair == filling.raw_text_pair
    assert (augmented.records, augmented.records_pair) == (free(filling, epoch=0).records, ())
    assert augmented.as_edits().text_pair == filling.raw_text_pair
    bound(filling, epoch=1)  # said once
    narrow.encode([bound(filling, epoch=epoch).document for epoch in range(5)])


def _tokens(processor: Processor, windows: AugmentedWindows, epoch: int) -> int:
    """Of the text pair as it is in an epoch."""
    document: Any = windows[windows.plan(epoch).items[0]]
    return len(processor([document.raw_text_pair])["input_ids"][0]) - 2
