"""Augmentations change texts, and never what is annotated: the gold moves along exactly."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import annotations, flat_spans, messy_texts, sentences

from nlp_inference import Annotation, Category, Document, Processor, Span
from nlp_inference.document import Relation
from nlp_inference.document.aligned_text import Edit, apply_edits
from nlp_inference.errors import InvalidSpecError, UnknownTypeError
from nlp_inference.transforms import Compose, PostTransform, Transform
from nlp_training import load_config
from nlp_training.augment import Augmentation, Augmenter, SpanGuard
from nlp_training.augment.base import draw
from nlp_training.augment.sentences import sentence_places
from nlp_training.config.user_modules import import_modules

SHARES = {"max_share": st.floats(0.01, 1)}
IN_SPANS = {**SHARES, "in_spans": st.booleans()}
SETTINGS = {
    "break_encoding": SHARES,
    "change_case": {**IN_SPANS, "to": st.sampled_from(["lower", "upper", "title", "sentence"])},
    "curly_punctuation": IN_SPANS,
    "drop_accents": IN_SPANS,
    "drop_words": SHARES,
    "join_documents": {"max_characters": st.integers(1, 400)},
    "keyboard_typos": {**IN_SPANS, "layout": st.sampled_from(["qwerty", "qwertz", "azerty"])},
    "messy_whitespace": IN_SPANS,
    "ocr_errors": IN_SPANS,
    "replace_entities": SHARES,
    "shuffle_sentences": SHARES,
    "swap_words": SHARES,
    "wrap_html": SHARES,
}
MOVE_TEXT = ("join_documents", "shuffle_sentences")
BUILT_IN = {name: one for name, one in Augmentation.members.items() if one.__module__.startswith("nlp_training.")}

texts = messy_texts | sentences | st.lists(sentences, max_size=6).map(".\n".join)


def specs(name):
    return st.fixed_dictionaries(SETTINGS[name]).map(lambda fields: {name: {"probability": 1, **fields}})


@st.composite
def gold_documents(draw):
    """Texts with spans, which overlap or not, relations between them, and categories."""
    text = draw(texts)
    gold = draw(annotations(len(text)) | flat_spans(len(text), ("A", "B")).map(lambda spans: Annotation(spans=spans)))
    return Document(id=draw(st.text("ab", max_size=3)), raw_text=text, gold=gold, metadata={"source": "test"})


def augment(spec, document, *, train=(), seed=0, epoch=0):
    return Augmenter([spec], train, seed=seed)(document, epoch=epoch)


def surfaces(document):
    return [document.surface(span) for span in document.gold.spans]


def current_surfaces(document):
    """What the spans cover in the text as preprocessing left it."""
    places = (document.aligned.to_current(span.start, span.end) for span in document.gold.spans)
    return [document.text[start:end] for start, end in places]


def within(span, edits):
    """The edits inside a span, in its coordinates; an insertion at an edge is outside."""
    return [
        Edit(edit.start - span.start, edit.end - span.start, edit.replacement)
        for edit in edits
        if span.start <= edit.start and edit.end <= span.end and (edit.start < edit.end or edit.start > span.start)
        if not edit.start == edit.end == span.end
    ]


def test_the_settings_above_are_for_every_augmentation():
    assert sorted(SETTINGS) == sorted(BUILT_IN)


@pytest.mark.parametrize("name", sorted(set(SETTINGS) - set(MOVE_TEXT)))
@settings(max_examples=12)
@given(data=st.data())
def test_a_span_is_what_the_edits_inside_it_make_of_its_surface(name, data):
    train = data.draw(st.lists(gold_documents(), max_size=3))
    document = data.draw(gold_documents())
    augmented = augment(data.draw(specs(name)), document, train=train, seed=data.draw(st.integers(0, 99)))
    edits = [edit for record in augmented.records for edit in record.edits]
    for span, after in zip(document.gold.spans, augmented.document.gold.spans, strict=True):
        assert augmented.document.surface(after) == apply_edits(document.surface(span), within(span, edits))
        assert augmented.document.surface(after)
        cut = [edit for edit in edits if edit.start < span.start < edit.end or edit.start < span.end < edit.end]
        assert not cut


@pytest.mark.parametrize("name", MOVE_TEXT)
@settings(max_examples=12)
@given(data=st.data())
def test_a_span_that_moves_keeps_its_surface(name, data):
    train = data.draw(st.lists(gold_documents(), max_size=3))
    document = data.draw(gold_documents())
    augmented = augment(data.draw(specs(name)), document, train=train, seed=data.draw(st.integers(0, 99))).document
    count = len(document.gold.spans)
    assert surfaces(augmented)[:count] == surfaces(document)
    if name == "shuffle_sentences":
        assert sorted(augmented.raw_text) == sorted(document.raw_text)
    elif augmented != document:
        [other] = {
            one.raw_text: one for one in train if augmented.raw_text == f"{document.raw_text}\n{one.raw_text}"
        }.values()
        assert len(augmented.gold.spans) >= count
        assert set(surfaces(augmented)[count:]) <= {surface for one in train for surface in surfaces(one)}
        assert len(augmented.raw_text) == len(document.raw_text) + 1 + len(other.raw_text)


@pytest.mark.parametrize("name", sorted(SETTINGS))
@settings(max_examples=12)
@given(data=st.data())
def test_all_else_of_a_document_stays(name, data):
    document = data.draw(gold_documents())
    train = [document, *data.draw(st.lists(gold_documents(), max_size=2))]
    augmented = augment(data.draw(specs(name)), document, train=train)
    before, after = document.gold, augmented.document.gold
    count = len(before.spans)
    assert [(one.label, one.score) for one in after.spans[:count]] == [(one.label, one.score) for one in before.spans]
    assert after.relations[: len(before.relations)] == before.relations
    assert (after.categories, after.values, after.generated) == (before.categories, before.values, before.generated)
    assert (augmented.document.id, augmented.document.metadata) == (document.id, document.metadata)
    assert (augmented.document.edits, augmented.document.predicted) == ((), None)
    assert augmented.as_edits().text == augmented.document.raw_text
    assert Document.model_validate(augmented.document.model_dump()) == augmented.document


INVERSES = {
    "break_encoding": ["fix_encoding"],
    "curly_punctuation": ["normalize_punctuation"],
    "drop_accents": ["strip_accents"],
    "messy_whitespace": ["collapse_whitespace"],
    "wrap_html": ["strip_html"],
}


@pytest.mark.parametrize("name", sorted(INVERSES))
@settings(max_examples=20)
@given(document=gold_documents(), seed=st.integers(0, 99))
def test_what_the_preprocessing_undoes_leaves_the_same_text_and_the_same_gold(name, document, seed):
    undo = Compose(INVERSES[name])
    if name == "drop_accents":  # which may leave some accents
        augmented = augment({name: {"probability": 1, "max_share": 0.5}}, document, seed=seed).document
    else:
        augmented = augment({name: 1.0}, document, seed=seed).document
    assert undo(augmented).text == undo(document).text
    if name != "drop_accents":
        assert current_surfaces(undo(augmented)) == current_surfaces(undo(document))


@settings(max_examples=20)
@given(text=sentences, seed=st.integers(0, 99), data=st.data())
def test_the_preprocessing_of_the_quickstart_undoes_all_mess_at_once(text, seed, data):
    document = Document(raw_text=text.replace("cafÃ©", "café").replace("&amp;", "&"))
    document = document.with_gold(Annotation(spans=data.draw(flat_spans(len(document.raw_text), ("A",)))))
    clean = Compose(["fix_encoding", "strip_html", "remove_control", "normalize_punctuation", "collapse_whitespace"])
    mess = [{"messy_whitespace": {"probability": 1, "kinds": ["double", "no_break", "line_break"]}}]
    mess += [{name: 1.0} for name in ("curly_punctuation", "wrap_html", "break_encoding")]
    augmented = Augmenter(mess, seed=seed)(document, epoch=0).document
    assert clean(augmented).text == clean(document).text
    assert [one.strip() for one in current_surfaces(clean(augmented))] == [
        one.strip() for one in current_surfaces(clean(document))
    ]


def document(text, *marked, id=None):  # noqa: A002 - as the field is called
    """A document in which each marked piece is a span of the label X."""
    spans = tuple(Span(start=text.index(one), end=text.index(one) + len(one), label="X") for one in marked)
    return Document(id=id, raw_text=text, gold=Annotation(spans=spans))


@pytest.mark.parametrize(
    ("spec", "text", "marked", "expected"),
    [
        ({"change_case": {"to": "upper"}}, "straße in rome", ["rome"], ("STRASSE IN ROME", ["ROME"])),
        ({"change_case": {"to": "sentence"}}, "SEE HERE. IT'S Rome", ["Rome"], ("See here. It's rome", ["rome"])),
        ({"change_case": {"to": "lower", "in_spans": False}}, "SEE ROME", ["ROME"], ("see ROME", ["ROME"])),
        ({"change_case": {"to": "upper", "max_share": 0.5}}, "ab", [], ("AB", [])),
        ({"messy_whitespace": {"kinds": ["tab"]}}, "New York", ["New York"], ("New\tYork", ["New\tYork"])),
        ({"messy_whitespace": {"in_spans": False}}, "New York", ["New York"], ("New York", ["New York"])),
        ({"drop_accents": {}}, "à Orléans", ["Orléans"], None),
        ({"break_encoding": {}}, "voilà", ["voilà"], ("voilà", ["voilà"])),  # the span would end in a no-break space
        ({"break_encoding": {}}, "é Zoë", ["Zoë"], ("Ã© ZoÃ«", ["ZoÃ«"])),
        ({"drop_words": {"max_share": 1}}, "Rome", ["Rome"], ("Rome", ["Rome"])),
        ({"drop_words": {"max_share": 1}}, "Rome", [], ("Rome", [])),  # a text is never emptied
        ({"swap_words": {}}, "in old Rome", ["Rome"], ("old in Rome", ["Rome"])),
        ({"swap_words": {}}, "in Rome now", ["Rome"], ("in Rome now", ["Rome"])),
        ({"shuffle_sentences": {}}, "One.  Two\n", ["Two"], ("Two\n  One.", ["Two"])),
        ({"shuffle_sentences": {}}, "At Inc. Now.", ["Inc. Now"], ("At Inc. Now.", ["Inc. Now"])),
        ({"wrap_html": {}}, "<b>Rome</b>", ["Rome"], ("<b>Rome</b>", ["Rome"])),
        ({"replace_entities": {}}, "Rome", ["Rome"], ("Rome", ["Rome"])),  # there is no other name
    ],
)
def test_examples(spec, text, marked, expected):
    [(name, fields)] = spec.items()
    augmented = augment({name: {"probability": 1, **fields}}, document(text, *marked)).document
    if expected is None:
        assert augmented.raw_text in {"a Orleans", "a Orléans", "à Orleans"}
    else:
        assert (augmented.raw_text, surfaces(augmented)) == expected


def test_names_come_from_the_file_of_their_label_or_from_the_training_spans(tmp_path: Path) -> None:
    cities = tmp_path / "cities.txt"
    cities.write_text("Łódź\n\n  Oslo \nŁódź\n", encoding="utf-8")
    spans = (Span(start=0, end=3, label="NAME"), Span(start=7, end=11, label="CITY"))
    ana = Document(raw_text="Ana in Rome", gold=Annotation(spans=spans))
    bo = Document(raw_text="Bob, Rome", gold=Annotation(spans=(Span(start=0, end=3, label="NAME"),)))
    seen = set()
    for seed in range(40):
        spec = {"replace_entities": {"probability": 1, "gazetteers": {"CITY": str(cities)}}}
        seen.add(augment(spec, ana, train=[ana, bo], seed=seed).document.raw_text)
    assert seen == {f"{name} in {city}" for name in ("Ana", "Bob") for city in ("Rome", "Oslo", "Łódź")} - {
        ana.raw_text
    }
    only = {"replace_entities": {"probability": 1, "labels": ["NAME"]}}
    assert augment(only, ana, train=[ana, bo]).document.raw_text == "Bob in Rome"


def test_spans_that_share_characters_are_not_replaced():
    spans = (Span(start=0, end=8, label="ORG"), Span(start=4, end=8, label="CITY"), Span(start=9, end=10, label="ORG"))
    nested = Document(raw_text="FC Rome! X", gold=Annotation(spans=spans))
    augmented = augment({"replace_entities": 1.0}, nested, train=[nested]).document
    assert augmented.raw_text == "FC Rome! FC Rome!"
    assert surfaces(augmented) == ["FC Rome!", "ome!", "FC Rome!"]


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"\xff", "cannot be read"), (b"\n", "is empty")]
)
def test_a_gazetteer_without_names_is_refused_before_training(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSpecError, match=said):
        Augmenter([{"replace_entities": {"gazetteers": {"X": str(path)}}}])


def test_joined_documents_say_the_same_of_themselves_and_keep_their_relations():
    def one(text, label):
        spans = (Span(start=0, end=1, label="A"), Span(start=2, end=3, label="B"))
        relations = (Relation(head=0, tail=1, label="R"),)
        return Document(
            raw_text=text, gold=Annotation(spans=spans, relations=relations, categories=(Category(label=label),))
        )

    ham, other_ham, spam = one("a b", "ham"), one("c d", "ham"), one("e f", "spam")
    joined = augment({"join_documents": 1.0}, ham, train=[ham, other_ham, spam]).document
    assert (joined.raw_text, surfaces(joined)) == ("a b\nc d", ["a", "b", "c", "d"])
    assert [(one.head, one.tail) for one in joined.gold.relations] == [(0, 1), (2, 3)]
    assert joined.gold.categories == ham.gold.categories
    assert augment({"join_documents": 1.0}, spam, train=[ham, other_ham, spam]).document == spam
    assert augment({"join_documents": {"probability": 1, "max_characters": 6}}, ham, train=[other_ham]).document == ham
    with_pair = ham.model_copy(update={"raw_text_pair": "?"})
    assert augment({"join_documents": 1.0}, with_pair, train=[other_ham]).document == with_pair


def test_sentences_that_share_a_span_are_one():
    text = "Hi. A b. C d!\n“E.” F。G"
    whole = document(text)
    assert [text[slice(*place)] for place in sentence_places(whole)] == ["Hi.", "A b.", "C d!", "“E.”", "F。", "G"]
    spanned = document(text, "b. C")
    assert [text[slice(*place)] for place in sentence_places(spanned)] == ["Hi.", "A b. C d!", "“E.”", "F。", "G"]


@pytest.mark.parametrize(
    ("edit", "allowed"),
    [
        ((0, 2, ""), True),  # before the span
        ((2, 2, "x"), True),  # an insertion at its edge is outside
        ((4, 4, " "), True),
        ((2, 6, "new"), True),  # all of it by something else
        ((2, 6, " new"), False),
        ((2, 6, ""), False),
        ((1, 6, "new"), False),
        ((1, 3, "x"), False),
        ((5, 7, "x"), False),
        ((0, 8, "x"), False),
        ((2, 3, ""), False),
        ((5, 6, "x\xa0"), False),
        ((3, 5, ""), True),
    ],
)
def test_which_edits_leave_a_span_whole(edit, allowed):
    assert SpanGuard([Span(start=2, end=6, label="X")]).allows(Edit(*edit)) is allowed


@given(count=st.integers(0, 50), share=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_no_more_is_drawn_than_the_share(count, share, seed):
    drawn = draw(range(count), share, Random(seed))  # noqa: S311 - no secret
    assert drawn == sorted(set(drawn))
    assert min(count, 1) <= len(drawn) <= max(min(count, 1), share * count)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_specification_says_everything_and_no_share_is_beyond_the_whole(name):
    one = Augmentation.from_spec({name: 0.25})
    assert one.probability == 0.25
    assert one.to_spec() == {name: 0.25}
    assert Augmentation.from_spec(one.to_spec()) == one
    with pytest.raises(InvalidSpecError, match="probability"):
        Augmentation.from_spec({name: 1.5})
    if "max_share" in type(one).model_fields:
        with pytest.raises(InvalidSpecError, match="max_share"):
            Augmentation.from_spec({name: {"max_share": 1.5}})


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_no_processor_takes_an_augmentation(tokenizer, name):
    assert Transform.find(name) is None
    assert PostTransform.find(name) is None
    with pytest.raises(UnknownTypeError, match=f"unknown transform '{name}'"):
        Processor(tokenizer, {"text-classification": {"labels": ["A"]}}, preprocess=[{name: 0.5}])
    with pytest.raises(UnknownTypeError, match=f"unknown post-transform '{name}'"):
        Processor(tokenizer, {"text-classification": {"labels": ["A"]}}, postprocess=[name])
    with pytest.raises(InvalidSpecError, match="as a transform"):
        Processor(tokenizer, {"text-classification": {"labels": ["A"]}}, preprocess=[Augmentation.from_spec(name)])


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ("keyboard_typos", "expected a list of augmentations"),
        ({"keyboard_typos": 1}, "expected a list of augmentations"),
        (["strip_html"], "unknown augmentation 'strip_html'"),
        (["keyboard_typo"], "did you mean 'keyboard_typos'"),
    ],
)
def test_what_is_no_list_of_augmentations_is_refused(specs, said):
    with pytest.raises(InvalidSpecError, match=said):
        Augmenter(specs)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_shipped_configuration_names_known_augmentations(path):
    config = load_config(path)
    import_modules(config.modules)
    named = [step.name for step in Augmenter(config.augment).steps]
    expected = {
        "quickstart": ["join_documents"],
        "quickstart_augmented": sorted(SETTINGS),
        "experiment": ["add_citations"],
    }
    assert sorted(named) == expected.get(path.stem, [])
