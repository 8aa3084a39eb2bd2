"""Checks of all laws of a post-transform, on random annotations of difficult texts."""

from collections.abc import Iterable

import numpy as np

from nlp_inference.document import Annotation, Category, Coverage, Document, Relation, Span
from nlp_inference.testing._laws import attempt, check_identity, check_time, failed
from nlp_inference.testing.texts import FIXED_TEXTS, messy_texts
from nlp_inference.transforms.base import PostTransform

_RANDOM_TEXTS = 150
_MANY_SPANS = (10, 100, 500, 4_000)
_LABELS = ("PERSON", "CITY", "DATE", "Ünïcödé")


def check_post_transform(transform: PostTransform, *, documents: Iterable[Document] = (), seed: int = 0) -> None:
    """Check all laws of post-transforms.

    The laws: it is registered by its name; its version is an integer; it survives JSON and can be pickled; it fails on
    no prediction; it returns an annotation whose spans are in the text and whose relations are between its spans; it
    changes nothing except the prediction, and nothing in place; the same prediction always gives the same result; and
    its time grows at most in proportion to the number of spans.

    Args:
        transform: an object of the class to check.
        documents: additional documents with predictions, such as those with your labels.
        seed: seed of the random predictions, which have the labels PERSON, CITY and DATE.

    Raises:
        CheckFailedError: a law is broken; the message names the law, the document and the failure.

    Example:
        >>> from nlp_inference.transforms.post import TrimSpans
        >>> check_post_transform(TrimSpans(characters=".,"))
    """
    check_identity(transform, PostTransform)
    random = np.random.default_rng(seed)
    texts = [*FIXED_TEXTS, *messy_texts(seed=seed, count=_RANDOM_TEXTS)]
    made = [_document(text, random, spans=int(random.integers(6))) for text in texts]
    all_documents = [*made, *documents, made[0].model_copy(update={"predicted": None})]
    results = [_checked(transform, document) for document in all_documents]
    again = type(transform).from_value(transform.model_dump(mode="json"))
    law = "the same prediction gives the same result, whatever came before it"
    for step in (transform, again):
        for document, first in zip(reversed(all_documents), reversed(results), strict=True):
            second = _checked(step, document)
            if second != first:
                raise failed(step, law, f"first {first.predicted!r:.300}, then {second.predicted!r:.300}", on=document)
    many = ((count, _document("Ana lives in Rome. " * count, random, spans=count)) for count in _MANY_SPANS)
    check_time(transform, transform, many, on="ever more spans")


def _checked(transform: PostTransform, before: Document) -> Document:
    law, saved = "it fails on no prediction, and what it returns fits the document", before.model_dump_json()
    after = attempt(transform, law, transform, before, on=before)
    if before.model_dump_json() != saved:
        raise failed(transform, "it changes nothing in place", f"the document became {before!r:.300}", on=saved)
    if not isinstance(after, Document):
        raise failed(transform, law, f"it returned {after!r:.200}, expected a Document", on=before)
    if after.model_copy(update={"predicted": before.predicted}) != before:
        raise failed(transform, "it changes nothing but the prediction", f"it gave {after!r:.300}", on=before)
    again = attempt(transform, law, Document.model_validate_json, attempt(transform, law, after.model_dump_json))
    if again != after:
        raise failed(transform, law, f"it came back from JSON as {again.predicted!r:.300}", on=before)
    return after


def _document(text: str, random: np.random.Generator, *, spans: int) -> Document:
    """Return a document with a random prediction; spans may overlap, and some findings have no score."""
    found = tuple(_span(len(text), random) for _ in range(spans if text else 0))
    relations = tuple(
        Relation(head=position - 1, tail=position, label="knows", score=_score(random))
        for position in range(1, len(found))
        if random.random() < 0.5
    )
    categories = tuple(Category(label=label, score=_score(random)) for label in _LABELS if random.random() < 0.3)
    annotation = Annotation(spans=found, relations=relations, categories=categories, values={"rating": 0.5})
    coverage = Coverage(characters=len(text), read=len(text), windows=1)
    return Document(raw_text=text, id="check", predicted=annotation, gold=Annotation(), coverage=coverage)


def _span(length: int, random: np.random.Generator) -> Span:
    start = int(random.integers(length))
    end = min(length, start + 1 + int(random.integers(12)))
    return Span(start=start, end=end, label=_LABELS[random.integers(len(_LABELS))], score=_score(random))


def _score(random: np.random.Generator) -> float | None:
    return float(random.random()) if random.random() < 0.8 else None
