"""Files that the tools themselves made, read; and what was written here after the tools imported and exported it again.

`exports/README.md` says which tool and version made each file, and how. Their texts have an emoji, a letter outside the
basic plane, a combining mark, an emoji of four characters, a line break of two, and spaces at their beginning.
"""

from pathlib import Path

import pytest

from nlp_inference.document import Annotation, Category, Document, Relation, Span
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import load_documents, write_documents

EXPORTS = Path(__file__).with_name("exports")
TEXT = "  😀 Zoe\u0308 met 𝔘wé in Rome.\r\nShe waved 👩🏽\u200d🚒 twice."
ZOE, UWE = Span(start=4, end=8, label="PER"), Span(start=13, end=16, label="PER")
ROME, JOB = Span(start=20, end=24, label="LOC"), Span(start=37, end=41, label="JOB")
SCENE = Span(start=9, end=36, label="EVENT")
CALM, SHORT = Category(label="calm"), Category(label="short")
MET, IN, TO = (
    Relation(head=head, tail=tail, label=label) for head, tail, label in ((0, 1, "met"), (1, 2, "in"), (1, 2, "to"))
)


def test_what_the_spans_of_these_tests_say():
    document = Document(raw_text=TEXT)
    surfaces = [document.surface(span) for span in (ZOE, UWE, ROME, JOB, SCENE)]
    assert surfaces == ["Zoe\u0308", "𝔘wé", "Rome", "👩🏽\u200d🚒", "met 𝔘wé in Rome.\r\nShe waved"]


def of_label_studio():
    """What `exports/label-studio/ours.json` was made of."""
    spans = (ZOE, UWE, ROME, SCENE, JOB)
    letter = Annotation(spans=spans, categories=(CALM, SHORT), relations=(MET, IN, TO))
    twice = Annotation(spans=(Span(start=0, end=4, label="PER"), Span(start=0, end=4, label="LOC")))
    guess = Annotation(
        spans=(Span(start=0, end=4, label="LOC", score=0.75),), categories=(Category(label="calm", score=0.5),)
    )
    return [
        Document(id="letter-1", raw_text=TEXT, gold=letter, metadata={"page": 3}),
        Document(id="letter-2", raw_text="Nothing here.", gold=Annotation()),
        Document(id="letter-3", raw_text="\tNot yet.\n", metadata={"tags": ["x", None]}),
        Document(id="letter-4", raw_text="Fine\\n <b>&amp;</b>.", gold=twice, predicted=guess),
        Document(
            id="letter-5",
            raw_text="One",
            raw_text_pair="Two",
            gold=Annotation(values={"grade": 2.5}, generated=("Un", "Eins\nzwei")),
        ),
    ]


def of_doccano(kind):
    """What `exports/doccano/ours-{kind}.jsonl` was made of."""
    ana = Span(start=0, end=3, label="PER")
    letter, other, third = {
        "spans": (Annotation(spans=(ZOE, SCENE, UWE, ROME, JOB)), Annotation(spans=(ana,)), Annotation()),
        "relations": (
            Annotation(spans=(ZOE, UWE, ROME, SCENE, JOB), relations=(MET, IN)),
            Annotation(spans=(ana,)),
            Annotation(),
        ),
        "intents": (
            Annotation(spans=(ZOE, UWE, ROME, JOB), categories=(CALM, SHORT)),
            Annotation(spans=(ana,)),
            Annotation(categories=(CALM,)),
        ),
        "labels": (Annotation(categories=(CALM, SHORT)), Annotation(categories=(SHORT,)), Annotation()),
    }[kind]
    return [
        Document(id="letter-1", raw_text=TEXT, gold=letter, metadata={"page": 3}),
        Document(id="letter-2", raw_text="Ana left.", gold=other, metadata={"page": 4}),
        Document(id="letter-3", raw_text="\tNothing here.\n", gold=third, metadata={"page": 5}),
    ]


def of_inception():
    """What `exports/uima-cas/ours/` was made of."""
    letter = Annotation(spans=(ZOE, UWE, ROME, SCENE, JOB), categories=(CALM, SHORT), relations=(MET, IN))
    return [
        Document(id="letter-1", raw_text=TEXT, gold=letter),
        Document(id="letter-2", raw_text="", gold=Annotation()),
        Document(
            id="letter-3", raw_text="\tAna\n", gold=Annotation(spans=(Span(start=1, end=4, label="PER", score=0.5),))
        ),
    ]


def of_conllu():
    """What `exports/conllu/ours.conllu` was made of."""
    text = "😀 Zoe\u0308 met 𝔘wé  in\tRome | \\ now."
    spans = (
        Span(start=2, end=6, label="PER"),
        Span(start=11, end=14, label="PER"),
        Span(start=19, end=23, label="LOC"),
    )
    return [
        Document(id="s1", raw_text=text, gold=Annotation(spans=spans), metadata={"genre": "letter"}),
        Document(id="s2", raw_text="Don't stop", gold=Annotation()),
    ]


def of_conllu_documents():
    """What `exports/conllu/ours-documents.conllu` was made of."""
    gold = Annotation(spans=(ZOE, UWE, ROME, JOB))
    return [
        Document(id="d1", raw_text=TEXT, gold=gold, metadata={"genre": "letter"}),
        Document(raw_text="\n One. \n\nTwo three", gold=Annotation()),
    ]


def read(name, format_name):
    """The Documents of an export, without where they were read."""
    documents = load_documents({"path": str(EXPORTS / name), "format": format_name})
    plain = []
    for document in documents:
        metadata = {**document.metadata}
        place = metadata.pop("read_from")
        own = None if document.id == place else document.id
        plain.append(document.model_copy(update={"id": own, "metadata": metadata}))
    return plain


def said(document):
    return document.id, document.raw_text, document.gold, document.metadata


def annotated(spans=(), categories=(), relations=()):
    """The annotation of which only these parts are set, as the readers make it."""
    parts = {"spans": spans, "categories": categories, "relations": relations}
    return Annotation(**{name: part for name, part in parts.items() if part})


def test_label_studio_exports_what_its_editor_makes():
    letter, nothing, not_yet, skipped = read("label-studio/editor.json", "label-studio")
    both_ways = (Relation(head=3, tail=4, label=""), Relation(head=4, tail=3, label=""))
    gold = annotated((ZOE, UWE, ROME, SCENE, JOB), (CALM, SHORT), (MET, IN, TO, *both_ways))
    assert said(letter) == ("10", TEXT, gold, {"source": "letters"})
    assert said(nothing) == ("11", "Nothing here.", Annotation(), {})
    assert said(not_yet) == ("12", "\tNot yet.\n", None, {})
    assert said(skipped) == ("13", "Skipped.", None, {})


def test_label_studio_imports_and_exports_what_was_written():
    assert read("label-studio/ours.json", "label-studio") == of_label_studio()


@pytest.mark.parametrize(
    ("name", "format_name", "message"),
    [
        ("editor-min.json", "label-studio", "Label Studio exports them as JSON, not as JSON_MIN"),
        ("editor.csv", "csv", "which are annotations of Label Studio, not a name; export them as"),
    ],
)
def test_exports_of_label_studio_that_hold_less_are_refused(name, format_name, message):
    with pytest.raises(InvalidDocumentError, match=message):
        read(f"label-studio/{name}", format_name)


def test_label_studio_exports_words_as_conll_and_no_texts():
    sentences = read("label-studio/editor.conll", "conll")
    assert [sentence.raw_text for sentence in sentences] == [
        "😀 Zoe\u0308 met 𝔘wé in Rome. She waved 👩🏽\u200d🚒 twice .",
        "Nothing here .",
        "Not yet .",
    ]
    spans = [(sentences[0].surface(span), span.label) for span in sentences[0].gold.spans]
    assert spans == [("Zoe\u0308", "PER"), ("met 𝔘wé in Rome. She waved", "EVENT"), ("👩🏽\u200d🚒", "JOB")]


@pytest.mark.parametrize(
    ("kind", "gold"),
    [
        ("spans", annotated((ZOE, SCENE, UWE, ROME, JOB))),
        ("relations", annotated((ZOE, UWE, ROME, SCENE, JOB), relations=(MET,))),
        ("intents", annotated((ZOE, UWE, ROME, JOB), (CALM, SHORT))),
        ("labels", annotated(categories=(CALM, SHORT))),
    ],
)
def test_doccano_exports_what_its_editor_makes(kind, gold):
    letter, nothing, not_yet = read(f"doccano/editor-{kind}.jsonl", "doccano")
    assert (letter.raw_text, letter.gold, letter.metadata["source"]) == (TEXT, gold, "letters")
    assert (nothing.raw_text, nothing.gold, nothing.metadata) == (
        "Nothing here.",
        Annotation(),
        {"source": "letters", "Comments": []},
    )
    assert (not_yet.raw_text, not_yet.gold) == ("\tNot yet.\n", Annotation())


@pytest.mark.parametrize("kind", ["spans", "relations", "intents", "labels"])
def test_doccano_imports_and_exports_what_was_written(kind):
    *back, never_annotated = read(f"doccano/ours-{kind}.jsonl", "doccano")
    assert [said(document) for document in back] == [
        (document.id, document.raw_text, document.gold, {**document.metadata, "Comments": []})
        for document in of_doccano(kind)
    ]
    assert said(never_annotated) == ("letter-4", "Not yet.", Annotation(), {"page": 6, "Comments": []})


def test_cassis_writes_the_layers_of_inception():
    [document] = read("uima-cas/editor.json", "uima-cas")
    spans = (ZOE, UWE, ROME, JOB, Span(start=42, end=47, label="Span"))
    assert said(document) == ("editor", TEXT, annotated(spans, (CALM,), (MET,)), {})


def test_cassis_reads_and_writes_what_was_written():
    assert [said(document) for document in read("uima-cas/ours", "uima-cas")] == [
        (document.id, document.raw_text, document.gold, {}) for document in of_inception()
    ]


def test_conllu_writes_words_that_are_written_as_one_and_words_that_are_not_written():
    first, second = read("conllu/words.conllu", "conllu")
    names = (Span(start=6, end=10, label="PER"), Span(start=14, end=19, label="LOC"))
    assert said(first) == ("s1", "Isn't Zoe\u0308 in 𝔘rome?", annotated(names), {"document": "letters"})
    assert said(second) == ("s2", "😀 Yes.", Annotation(), {"document": "letters"})
    [whole] = read("conllu/words.conllu", "conllu-documents")
    assert said(whole) == ("letters", "Isn't Zoe\u0308 in 𝔘rome?  😀 Yes.", annotated(names), {})


@pytest.mark.parametrize(
    ("name", "format_name", "documents"),
    [("ours", "conllu", of_conllu), ("ours-documents", "conllu-documents", of_conllu_documents)],
)
def test_conllu_reads_and_writes_what_was_written(name, format_name, documents, tmp_path):
    write_documents(documents(), tmp_path / "again.conllu", format_name=format_name)
    assert (tmp_path / "again.conllu").read_bytes() == (EXPORTS / f"conllu/{name}.conllu").read_bytes()
    assert [said(document) for document in read(f"conllu/{name}.conllu", format_name)] == list(map(said, documents()))
