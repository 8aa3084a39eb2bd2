"""The same words, annotated in different ways."""

from nlp_inference import Annotation, Document, Span
from nlp_training.data_report.surfaces import Surface, Surfaces


def surfaces_of(*documents: tuple[str, list[tuple[str, str]]]) -> Surfaces:
    """Texts, each with the first occurrences of phrases that are annotated, and their labels."""
    made = [
        Document(
            raw_text=text,
            gold=Annotation(
                spans=tuple(
                    Span(start=text.index(phrase), end=text.index(phrase) + len(phrase), label=label)
                    for phrase, label in phrases
                )
            ),
        )
        for text, phrases in documents
    ]
    surfaces = Surfaces()
    for document in made:
        surfaces.add(document)
    for document in made:
        surfaces.look_for_others(document)
    return surfaces


def test_words_with_several_labels_are_counted():
    surfaces = surfaces_of(
        ("Jordan sings", [("Jordan", "PERSON")]),
        ("In Jordan", [("Jordan", "PLACE")]),
        ("To Jordan", [("Jordan", "PLACE")]),
        ("Rome", [("Rome", "PLACE")]),
    )
    assert (surfaces.annotated, surfaces.minority, surfaces.inconsistent) == (4, 1, 0)
    assert surfaces.ambiguous() == [Surface("Jordan", {"PLACE": 2, "PERSON": 1}, 0)]
    assert surfaces.missed() == []


def test_places_treated_otherwise_than_most_are_counted():
    surfaces = surfaces_of(
        ("Rome and New  York", [("Rome", "PLACE"), ("New  York", "PLACE")]),
        ("Rome, not rome", []),
        ("New York, new York", []),
        ("New York", []),
        ("The man", [("The", "TITLE")]),
        ("The cat and The dog", []),
    )
    assert surfaces.missed() == [
        Surface("Rome", {"PLACE": 1}, 1),
        Surface("New York", {"PLACE": 1}, 2),
        Surface("The", {"TITLE": 1}, 2),
    ]
    assert surfaces.inconsistent == 3


def test_words_inside_a_longer_span_are_not_missed():
    surfaces = surfaces_of(("York", [("York", "PLACE")]), ("New York", [("New York", "PLACE")]), ("Yorkshire", []))
    assert surfaces.missed() == []


def test_scripts_without_spaces_are_searched_too():
    surfaces = surfaces_of(("東京に行く", [("東京", "PLACE")]), ("私は東京の人です", []))
    assert surfaces.missed() == [Surface("東 京", {"PLACE": 1}, 1)]


def test_spans_without_a_letter_or_a_digit_and_documents_without_gold_are_left_out():
    surfaces = surfaces_of(("- and -", [("-", "X")]))
    surfaces.look_for_others(Document(raw_text="-"))
    surfaces.add(Document(raw_text="-"))
    assert (surfaces.annotated, surfaces.missed()) == (0, [])
