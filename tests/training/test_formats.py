"""Every format: what is written comes back as it was, or is refused before anything is written."""

import string
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import annotations, flat_spans, json_values, messy_texts, sentences

from nlp_inference.document import Annotation, Category, Document, Relation, Span
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import load_documents, stream_documents, write_documents
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats import FORMATS, ReadOptions, leave_out
from nlp_training.data.formats.parts import PARTS, own_id, own_metadata

CARRIED = {
    "jsonl": {*PARTS},
    "csv": {"id", "pair", "spans", "categories", "relations", "metadata"},
    "tsv": {"id", "pair", "spans", "categories", "relations", "metadata"},
    "parquet": {"id", "pair", "spans", "categories", "relations", "metadata"},
    "brat": {"id", "spans", "relations"},
    "doccano": {"id", "spans", "categories", "relations", "metadata"},
    "doccano-characters": {"id", "spans", "categories", "relations", "metadata"},
    "label-studio": {*PARTS} - {"edits"},
    "prodigy": {"id", "spans", "categories", "metadata"},
    "uima-cas": {"id", "spans", "categories", "relations", "scores"},
    "spacy": {"id", "spans", "metadata"},
    "webanno-tsv": {"id"},
}
"""What each format carries of any Document, whatever its text."""


def _is_something(value):
    """Whether a cell can tell this value from none."""
    return value is not None


some_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
metadata = st.dictionaries(
    st.text(string.ascii_uppercase, min_size=1, max_size=4), json_values.filter(_is_something), max_size=2
)
quick = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def documents(draw):
    text = draw(messy_texts)
    return Document(
        raw_text=text,
        raw_text_pair=draw(st.none() | some_text),
        id=draw(some_text),
        gold=draw(annotations(len(text))),
        predicted=draw(st.none() | annotations(len(text))),
        metadata=draw(metadata),
    )


@pytest.fixture(autouse=True)
def _no_bars():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def there_and_back(name, written):
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"data{FORMATS[name].suffix}"
        try:
            write_documents(written, path, format_name=name)
        except InvalidDocumentError:
            assert not any(Path(folder).iterdir()), "a refused file was left behind"
            raise
        return list(FORMATS[name].read(path, ReadOptions()))


def content(document):
    """A Document but for where it was read; the order of relations has no meaning, that of spans only for them."""
    gold = document.gold
    if gold is not None:
        relations = tuple(sorted(gold.relations, key=Relation.model_dump_json))
        spans = gold.spans if relations else tuple(sorted(gold.spans, key=Span.model_dump_json))
        gold = gold.model_copy(update={"relations": relations, "spans": spans})
    known = {"id": own_id(document), "metadata": own_metadata(document), "gold": gold}
    return document.model_copy(update=known).model_dump()


@pytest.mark.parametrize("name", CARRIED)
@quick
@given(data=st.data())
def test_what_a_format_carries_comes_back(name, data):
    document = leave_out(data.draw(documents()), {*PARTS} - CARRIED[name])
    [back] = there_and_back(name, [document])
    assert content(back) == content(document)


@pytest.mark.parametrize("name", FORMATS)
@quick
@given(document=documents(), parts=st.sets(st.sampled_from(PARTS)), annotated=st.booleans())
def test_a_document_comes_back_or_is_refused(name, document, parts, annotated):
    document = leave_out(document if annotated else document.with_gold(None), parts)
    try:
        [back] = there_and_back(name, [document])
    except InvalidDocumentError as error:
        assert "cannot store" in str(error)  # noqa: PT017 - both ends are fine
    else:
        expected = content(document)
        assert content(back) | ({"id": None} if document.id is None else {}) == expected


@st.composite
def tagged(draw, separators):
    """Words with flat spans of whole words."""
    text = draw(sentences.filter(str.strip).map(lambda text: text.replace(" ", draw(separators))))
    words = [(found, found + len(word)) for word, found in _places(text)]
    cuts = draw(flat_spans(len(words), ("PER", "B-x", "北")))
    spans = [Span(start=words[cut.start][0], end=words[cut.end - 1][1], label=cut.label) for cut in cuts]
    return Document(raw_text=text, gold=draw(st.none() | st.just(Annotation(spans=tuple(spans)))))


def _places(text):
    position = 0
    for word in text.split():
        position = text.index(word, position)
        yield word, position
        position += len(word)


@pytest.mark.parametrize(
    ("name", "separators"),
    [
        ("conll", st.just(" ")),
        ("conll-documents", st.just(" ")),
        ("conllu", st.sampled_from([" ", "  ", "\t", "\u00a0"])),
        ("conllu-documents", st.sampled_from([" ", "\n", " \r\n\t", "\n\n", "\u2028"])),
    ],
)
@quick
@given(data=st.data())
def test_tagged_words_come_back(name, separators, data):
    document = data.draw(tagged(separators))
    [back] = there_and_back(name, [document])
    assert content(back) == content(document)


ANA = Document(
    raw_text="Ana lives in Rome.",
    gold=Annotation(spans=(Span(start=0, end=3, label="PER"), Span(start=13, end=17, label="LOC"))),
)


def test_words_without_a_space_between_are_for_conllu():
    with pytest.raises(InvalidDocumentError, match=r"13:17 'LOC' does not start and end at word boundaries.*or conllu"):
        there_and_back("conll", [ANA])
    assert content(there_and_back("conllu", [ANA])[0]) == content(ANA)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("conll", {"raw_text": "two  spaces", "gold": None}, "conll cannot store its text: it would be read as 2"),
        ("conll", {"raw_text": "", "gold": None}, "conll cannot store its text"),
        ("conllu", {"raw_text": " ", "gold": None}, "conllu cannot store a text without words"),
        ("conllu", {"raw_text": "a\nb", "gold": None}, "several lines; write jsonl or conllu-documents"),
        ("conllu", {"metadata": {"page": 3}}, "conllu cannot store its metadata: {'page': 3} would be read as"),
        ("conllu", {"gold": Annotation(spans=(Span(start=0, end=4, label="A"),))}, "0:4 'A' does not start and end"),
        (
            "conllu",
            {"gold": Annotation(spans=(Span(start=0, end=3, label="A"), Span(start=0, end=9, label="B")))},
            "0:9 'B' overlaps another span, but a word can have only one tag",
        ),
        ("csv", {"gold": Annotation(categories=(Category(label="a", score=0.5),))}, "--drop scores"),
        ("csv", {"predicted": Annotation()}, "--drop predicted"),
        ("brat", {"gold": Annotation(spans=(Span(start=0, end=3, label="two words"),))}, "cannot be read; write T1"),
        ("brat", {"gold": Annotation(categories=(Category(label="a"),))}, "--drop categories"),
        ("uima-cas", {"gold": None}, "'not annotated' would be read as 'annotated'"),
        ("prodigy", {"gold": Annotation(values={"age": 3.0})}, "--drop values"),
        ("label-studio", {"metadata": {"text": "x"}}, "metadata with the key 'text'"),
    ],
)
def test_what_a_format_cannot_carry_is_refused(name, change, message):
    with pytest.raises(InvalidDocumentError) as error:
        there_and_back(
            name, [ANA.model_copy(update={"id": "7", **change}) if name != "conll" else ANA.model_copy(update=change)]
        )
    assert message in str(error.value)
    assert "document " in str(error.value)


@pytest.mark.parametrize("name", sorted({*FORMATS} - {"uima-cas", "conll", "conllu"}))
def test_many_documents_keep_their_order_and_their_ids(name):
    written = [Document(raw_text=f"Ana {number}", id=f"d/{number}", gold=Annotation(spans=())) for number in range(12)]
    back = there_and_back(name, written)
    order = sorted if FORMATS[name].folder else list
    assert [document.id for document in back] == order([document.id for document in written])


def test_sentences_say_of_which_document_they_are_a_part():
    written = [
        Document(raw_text=text, metadata={"document": name}) for text, name in [("a", "x"), ("b", "x"), ("c", "y")]
    ]
    for name in ("conll", "conllu"):
        assert [content(document) for document in there_and_back(name, written)] == [content(one) for one in written]
    with pytest.raises(
        InvalidDocumentError, match="conll cannot store a sentence outside of documents after one of 'x'"
    ):
        there_and_back("conll", [written[0], Document(raw_text="d")])


def test_a_file_is_as_it_was_after_an_error(tmp_path):
    file = tmp_path / "train.conll"
    write_documents([Document(raw_text="whole")], file)
    with pytest.raises(InvalidDocumentError):
        write_documents([Document(raw_text="new"), Document(raw_text="")], file)
    assert [path.name for path in tmp_path.iterdir()] == ["train.conll"]
    assert [document.raw_text for document in load_documents(file)] == ["whole"]


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet", "conll", "conllu", "doccano", "prodigy"])
def test_a_source_takes_every_format_and_streams_it(name, tmp_path):
    path = tmp_path / f"data{FORMATS[name].suffix}"
    write_documents(
        (Document(raw_text=f"w{number}", gold=Annotation(spans=())) for number in range(5)), path, format_name=name
    )
    stream = stream_documents({"path": str(path), "format": name})
    assert next(stream).raw_text == "w0"
    assert [document.raw_text for document in stream] == ["w1", "w2", "w3", "w4"]
    loaded = load_documents({"path": str(path), "format": name}, cache_dir=tmp_path / "cache")
    assert [document.gold for document in loaded] == [Annotation(spans=())] * 5


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if known.folder])
def test_a_folder_with_other_files_is_not_replaced(name: str, tmp_path: Path) -> None:
    documents = [Document(id="a", raw_text="Ana lives in Rome", gold=Annotation())]
    for _ in range(2):  # its own files are replaced
        write_documents(documents, tmp_path / "out", format_name=name)
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    (tmp_path / "out" / "annotation.conf").write_text("[entities]")
    with pytest.raises(InvalidDataError, match=r"such as 'annotation\.conf', which would be lost; choose another"):
        write_documents(documents, tmp_path / "out", format_name=name)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*before, "annotation.conf"])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
