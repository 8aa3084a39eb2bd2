"""Large sets of documents are worked on a part at a time, bounded by number and by characters."""

from types import SimpleNamespace

import pytest

from nlp_inference import Document, TextClassification
from nlp_training.artefact import input_profile
from nlp_training.artefact.input_profile import training_profile
from nlp_training.batches import streams
from nlp_training.batches.streams import document_chunks


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([3, 3, 3, 3, 3], [3, 2]),
        ([4, 4, 4], [2, 1]),
        ([99, 1, 99, 9, 1, 1], [1, 1, 1, 2, 1]),
        ([0, 0, 0, 0], [3, 1]),
    ],
)
def test_a_chunk_is_bounded_by_number_and_by_characters(
    monkeypatch: pytest.MonkeyPatch, lengths: list[int], expected: list[int]
) -> None:
    monkeypatch.setattr(streams, "DOCUMENTS_AT_ONCE", 3)
    monkeypatch.setattr(streams, "CHARACTERS_AT_ONCE", 10)
    documents = [Document(raw_text="a" * length) for length in lengths]
    chunks = list(document_chunks(documents))
    assert [len(chunk) for chunk in chunks] == expected
    assert [document for chunk in chunks for document in chunk] == documents


def test_second_texts_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHARACTERS_AT_ONCE", 10)
    documents = [Document(raw_text="a" * 3, raw_text_pair="b" * 3) for _ in range(3)]
    assert [len(chunk) for chunk in document_chunks(documents)] == [1, 1, 1]


class Served:
    """A predictor that remembers what it was asked, and predicts nothing."""

    def __init__(self) -> None:
        self.asked: list[Document] = []
        self.processor = SimpleNamespace(task=TextClassification(labels=("a",)))

    def stream(self, documents):
        for document in documents:
            self.asked.append(document)
            yield document

    def profile(self) -> int:
        return len(self.asked)


@pytest.mark.parametrize(("characters", "expected"), [(0, 0), (1, 1), (10, 2), (11, 3), (1000, 9)])
def test_the_profile_of_training_is_of_a_bounded_number_of_characters(
    monkeypatch: pytest.MonkeyPatch, characters: int, expected: int
) -> None:
    monkeypatch.setattr(input_profile, "CHARACTERS", characters)
    documents = [Document(raw_text="a" * 5, id=str(number)) for number in range(9)]
    assert training_profile(Served(), documents, seed=0) == expected
