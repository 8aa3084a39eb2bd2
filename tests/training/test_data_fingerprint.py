"""The digest of a data set knows what its documents say, and nothing else."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference import Annotation, Category, Document, Relation, Span
from nlp_training.data import documents_sha256
from nlp_training.data.fingerprint import files_sha256

ANA = Span(start=0, end=3, label="PERSON")
ROME = Span(start=13, end=17, label="CITY")
DOCUMENT = Document(raw_text="Ana lives in Rome", id="a", gold=Annotation(spans=(ANA, ROME)))


def test_the_digest_is_the_one_that_is_described() -> None:
    assert documents_sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # printf '{"gold":null,"raw_text":"é","raw_text_pair":null}' | sha256sum | xxd -r -p | sha256sum
    assert (
        documents_sha256([Document(raw_text="é")]) == "4d96e9c05c3153bfa660141dfdd10aaf95e7ecf4411d66c06951945233bab2e4"
    )


@given(st.permutations([Document(raw_text=text, id=text) for text in ("a", "b", "b ", "", "a")]))
def test_order_says_nothing(documents: list[Document]) -> None:
    assert documents_sha256(documents) == documents_sha256(sorted(documents, key=lambda one: one.raw_text))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b"},
        {"metadata": {"read": "from a file"}},
        {"predicted": Annotation()},
        {"gold": Annotation(spans=(ROME, ANA))},
    ],
)
def test_what_is_not_said_says_nothing(change: dict[str, object]) -> None:
    assert documents_sha256([DOCUMENT.model_copy(update=change)]) == documents_sha256([DOCUMENT])


@pytest.mark.parametrize(
    "change",
    [
        {"raw_text": "Ana lives in Rome."},
        {"raw_text_pair": ""},
        {"gold": None},
        {"gold": Annotation()},
        {"gold": Annotation(spans=(ANA,))},
        {"gold": Annotation(spans=(ANA, ROME), categories=(Category(label="x"),))},
        {"gold": Annotation(spans=(ANA, ROME), relations=(Relation(head=0, tail=1, label="in"),))},
    ],
)
def test_what_is_said_counts(change: dict[str, object]) -> None:
    assert documents_sha256([DOCUMENT.model_copy(update=change)]) != documents_sha256([DOCUMENT])


def test_spans_that_relations_point_to_keep_their_order() -> None:
    relation = (Relation(head=0, tail=1, label="in"),)
    one, other = (Annotation(spans=spans, relations=relation) for spans in ((ANA, ROME), (ROME, ANA)))
    assert documents_sha256([DOCUMENT.with_gold(one)]) != documents_sha256([DOCUMENT.with_gold(other)])


def test_a_document_counts_as_often_as_it_is_there() -> None:
    assert documents_sha256([DOCUMENT, DOCUMENT]) != documents_sha256([DOCUMENT])


def test_the_digest_of_files_is_that_of_what_they_hold_and_of_their_names(tmp_path: Path) -> None:
    one = tmp_path / "a.ann"
    one.write_bytes(b"T1")
    assert files_sha256(one) == hashlib.sha256(b"T1").hexdigest()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.txt").write_bytes(b"Ana")
    before = files_sha256(tmp_path)
    (tmp_path / "deep" / ".b.txt.swp").write_bytes(b"an editor's")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(b"ref")
    assert files_sha256(tmp_path) == before
    one.rename(tmp_path / "c.ann")
    renamed = files_sha256(tmp_path)
    (tmp_path / "c.ann").write_bytes(b"T2")
    assert len({before, renamed, files_sha256(tmp_path)}) == 3
