"""The profile of the training documents, to compare with the documents in production."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from random import Random

from nlp_inference import Document, Predictor
from nlp_inference.drift import Profile

DOCUMENTS = 1000
CHARACTERS = 5_000_000
"""The maximum numbers of documents and characters of the profile; more would hardly make the comparison sharper."""


def training_profile(predictor: Predictor, documents: Iterable[Document], *, seed: int) -> Profile:
    """Predict a sample of the training documents as in production and return their profile.

    The profile contains predicted labels, like that of production: gold would differ from predictions without drift.

    Args:
        predictor: a predictor that has not predicted anything yet.
        documents: the training documents; of a stream, the first ones.
        seed: the seed of the sample.
    """
    if isinstance(documents, Sequence):
        sample = Random(seed).sample(documents, min(DOCUMENTS, len(documents)))  # noqa: S311 - no secret
    else:
        sample = list(islice(documents, DOCUMENTS))
    as_input = predictor.processor.task.as_input
    for _ in predictor.stream(as_input(document) for document in _within_bound(sample)):
        pass
    return predictor.profile()


def _within_bound(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the first documents of any length: skipping long ones would bias the sample towards short ones."""
    characters = 0
    for document in documents:
        if characters >= CHARACTERS:
            return
        characters += len(document.raw_text) + len(document.raw_text_pair or "")
        yield document
