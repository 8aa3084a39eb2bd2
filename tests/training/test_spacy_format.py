"""spaCy's DocBin: read by spaCy's own training, and read from what spaCy made."""

import sys

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus

from nlp_inference.document import Annotation, Category, Document, Span
from nlp_inference.errors import InvalidDocumentError, MissingExtraError
from nlp_training.data import InvalidDataError, load_documents, write_documents
from nlp_training.data.errors import DataWarning


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def spans(*places):
    return Annotation(spans=tuple(Span(start=start, end=end, label=label) for start, end, label in places))


def docs(path="train.spacy"):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))


def made(doc):
    """What is read of a file that holds `doc`."""
    DocBin(docs=[doc], store_user_data=True).to_disk("made.spacy")
    [document] = load_documents("made.spacy")
    return document


def found(document):
    return [(document.surface(span), span.label) for span in document.gold.spans]


def doc_of(*words):
    return Doc(spacy.blank("xx").vocab, words=list(words))


def test_spans_that_do_not_overlap_are_entities_that_spacy_trains_on():
    texts = ["Ana  lives in Rome.\n", " unbelievably "]
    gold = [spans((0, 3, "PER"), (14, 18, "LOC")), spans((3, 10, "PART"))]
    write_documents([Document(raw_text=text, gold=one) for text, one in zip(texts, gold, strict=True)], "train.spacy")
    examples = list(Corpus("train.spacy")(spacy.blank("en")))
    assert [example.reference.text for example in examples] == texts
    assert [[(one.text, one.label_) for one in example.reference.ents] for example in examples] == [
        [("Ana", "PER"), ("Rome", "LOC")],
        [("believa", "PART")],
    ]
    assert examples[0].get_aligned_ner() == ["U-PER", "O", "O", "O", "U-LOC", "O", "O"]


def test_where_spans_overlap_those_of_all_documents_are_in_the_group_of_the_span_categorizer():
    nested, flat = spans((0, 7, "PER"), (4, 7, "LAST")), spans((0, 3, "PER"))
    write_documents([Document(raw_text="Ana Lee", gold=gold) for gold in (nested, flat)], "train.spacy")
    groups = [[(one.text, one.label_) for one in doc.spans["sc"]] for doc in docs()]
    assert groups == [[("Ana Lee", "PER"), ("Lee", "LAST")], [("Ana", "PER")]]
    assert [doc.ents for doc in docs()] == [(), ()]


def test_every_document_says_of_every_label_whether_it_has_it():
    written = [
        Document(raw_text="a", gold=Annotation(categories=(Category(label="joy"),))),
        Document(raw_text="b", gold=Annotation(categories=(Category(label="fear"), Category(label="joy")))),
        Document(raw_text="c", gold=Annotation(categories=())),
        Document(raw_text="d"),
    ]
    write_documents(written, "train.spacy")
    assert [doc.cats for doc in docs()] == [{"joy": 1, "fear": 0}, {"fear": 1, "joy": 1}, {"joy": 0, "fear": 0}, {}]
    back = load_documents("train.spacy")
    assert [None if one.gold is None else one.gold.categories for one in back] == [
        (Category(label="joy"),),
        (Category(label="fear"), Category(label="joy")),
        (),
        None,
    ]


def test_id_and_metadata_are_user_data():
    metadata = {"page": 3, "tags": ["a", {"b": None}]}
    write_documents([Document(raw_text="x", id="7", metadata=metadata)], "train.spacy")
    assert docs()[0].user_data == {"id": "7", "page": 3, "tags": ("a", {"b": None})}
    [back] = load_documents("train.spacy")
    assert (back.id, back.metadata) == ("7", {**metadata, "read_from": "train.spacy doc 1"})


def test_what_spacy_made_is_read_with_entities_and_groups_and_each_span_once():
    doc = doc_of("Ana", "Lee", "sings")
    doc.set_ents([doc.char_span(0, 7, label="PER")])
    doc.spans["sc"] = [doc.char_span(0, 7, label="PER"), doc.char_span(0, 3, label="FIRST")]
    doc.spans["more"] = [doc.char_span(8, 13, label="ACT")]
    doc.user_data["._.", "custom", None, None] = "not read"
    with pytest.warns(DataWarning, match="not read as annotations: 1 x extension attributes"):
        document = made(doc)
    assert (document.raw_text, document.id) == ("Ana Lee sings ", "made.spacy doc 1")
    assert found(document) == [("Ana Lee", "PER"), ("Ana", "FIRST"), ("sings", "ACT")]
    assert document.metadata == {"read_from": "made.spacy doc 1"}


def test_a_doc_in_which_nobody_looked_for_entities_is_not_annotated():
    doc = doc_of("Ana")
    assert made(doc).gold is None
    doc.set_ents([], default="outside")
    assert made(doc).gold == Annotation()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda doc: doc.cats.update(joy=0.3), r"cats\['joy'\] is 0.3; gold must be 1.0 or 0.0"),
        (lambda doc: doc.spans.update(sc=[doc[1:1]]), "the span '' at 4 is empty; remove it"),
        (
            lambda doc: doc.set_ents([doc.char_span(0, 3, "PER")], default="missing"),
            "some words have no entity annotation",
        ),
    ],
)
def test_what_is_no_gold_is_named_with_its_place(change, message):
    doc = doc_of("Ana", "Lee")
    change(doc)
    with pytest.raises(InvalidDocumentError, match=rf"^made\.spacy doc 1: {message}"):
        made(doc)


@pytest.mark.parametrize("content", [b"", b"not a DocBin", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_what_is_no_docbin_is_named(content, tmp_path):
    (tmp_path / "made.spacy").write_bytes(content)
    with pytest.raises(
        InvalidDataError, match=r"^made\.spacy is not a DocBin .*; save it with spacy.tokens.DocBin.to_disk"
    ):
        load_documents("made.spacy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"raw_text_pair": "b"}, "spacy cannot store its pair"),
        ({"metadata": {"id": 3}}, "spacy cannot store metadata with the key 'id'; rename it"),
        (
            {"metadata": {"big": 2**70}},
            "spacy cannot store it because reading it would fail: its metadata: Integer value",
        ),
        ({"gold": Annotation(categories=(Category(label="a", score=0.5),))}, "--drop scores"),
        ({"gold": Annotation(categories=(Category(label="a"),) * 2)}, "--drop categories"),
    ],
)
def test_what_a_docbin_cannot_carry_is_refused(change, message, tmp_path):
    with pytest.raises(InvalidDocumentError, match=message):
        write_documents([Document(raw_text="a").model_copy(update=change)], "train.spacy")
    assert not any(tmp_path.iterdir())


def test_without_spacy_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MissingExtraError, match=r'pip install "nlp-inference\[spacy\]'):
        write_documents([Document(raw_text="a")], "train.spacy")
