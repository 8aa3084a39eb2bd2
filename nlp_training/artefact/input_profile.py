"""The profile of what a model learnt from, to compare with what it will be asked."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from random import Random

from nlp_inference import Document, Predictor
from nlp_inference.drift import Profile

DOCUMENTS = 1000
CHARACTERS = 5_000_000
"""How many documents the profile is of, at most, and of how many characters; more would hardly narrow what chance
allows in production."""


def training_profile(predictor: Predictor, documents: Iterable[Document], *, seed: int) -> Profile:
    """Predict a sample of the training documents as production would, so that both sides are made by the same code.

    Labels are predicted ones on both sides, too: gold would differ from predictions also where nothing drifted.

    Args:
        predictor: one that has predicted nothing yet.
        documents: what the model was trained on; of a stream, the first ones are taken.
        seed: of the sample.
    """
    if isinstance(documents, Sequence):
        sample = Random(seed).sample(documents, min(DOCUMENTS, len(documents)))  # noqa: S311 - no secret
    else:
        sample = list(islice(documents, DOCUMENTS))
    for _ in predictor.stream(document.unannotated() for document in _within_bound(sample)):
        pass
    return predictor.profile()


def _within_bound(documents: Iterable[Document]) -> Iterator[Document]:
    """The first documents, whatever their lengths: leaving out long ones would make the sample one of short ones."""
    characters = 0
    for document in documents:
        if characters >= CHARACTERS:
            return
        characters += len(document.raw_text) + len(document.raw_text_pair or "")
        yield document
