"""Checks of a custom augmentation on generated and user documents with gold."""

import random as global_random
from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from nlp_inference.document import Annotation, Category, Document, Span
from nlp_inference.document.aligned_text import AlignedText
from nlp_inference.registry import Registered
from nlp_inference.testing._laws import attempt, check_identity, failed
from nlp_inference.testing.texts import FIXED_TEXTS, messy_texts
from nlp_inference.transforms.base import PostTransform, Transform
from nlp_training.augment import Augmentation, Corpus, Rewrite

_RANDOM_TEXTS = 150
_PLAIN = (
    "Ana Kovács lives in Rome. She met Zoë O'Neil in São Paulo on Monday, 3 March. They sang.",
    "“Dear Ana,” wrote the café of Zürich,\nwelcome back! Yours, Łukasz.",
    "<p>Dear Ana, your code is 4711.</p> Write to ana@example.org or call +41 44 123 45 67.",
)
_NAMES = ("Ana Kovács", "Ana", "Zoë O'Neil", "Łukasz", "Rome", "São Paulo", "Zürich", "4711", "ana@example.org")


def check_augmentation(augmentation: Augmentation, *, documents: Iterable[Document] = (), seed: int = 0) -> None:
    """Check all laws of a custom augmentation.

    The laws: it is registered by its name; its version is an integer; it survives JSON and can be pickled; it is not a
    transform, so no processor can contain it; it raises no error for any document; the same seed gives the same text,
    independently of other random numbers; with probability 0 it changes nothing, with probability 1 something; every
    gold span keeps its label and its words, or their edited form, inside the text and without blank edges; and the rest
    of a document does not change.

    Args:
        augmentation: an instance of the custom class.
        documents: additional documents with gold, such as some of your data.
        seed: the seed of the random documents.

    Raises:
        CheckFailedError: a law is broken; the message names it, the document and what happened.

    Example:
        >>> from nlp_training.augment import KeyboardTypos
        >>> check_augmentation(KeyboardTypos())
    """
    check_identity(augmentation, Augmentation)
    given: Registered = augmentation
    if isinstance(given, Transform | PostTransform):
        raise failed(augmentation, "no processor can hold it", "it is a transform, too, so that it would be served")
    tried = [*_documents(seed), *documents]
    corpus = Corpus(tried)
    always, never = (augmentation.model_copy(update={"probability": chance}) for chance in (1.0, 0.0))
    changed = 0
    for document in tried:
        if _apply(never, document, seed, corpus)[1] is not None:
            raise failed(augmentation, "with probability 0 it changes nothing", "it did", on=document)
        after, record = _apply(always, document, seed, corpus)
        global_random.seed(len(tried))
        if _apply(always, document, seed, corpus) != (after, record):
            advice = "take every random number from `rng`, and keep nothing between documents"
            raise failed(augmentation, "the same seed gives the same text", advice, on=document)
        changed += record is not None
        _check_document(always, document, after, record, seed, corpus)
    if not changed:
        what = f"it left all {len(tried)} documents alone; give `documents` that it can change"
        raise failed(augmentation, "with probability 1 it changes something", what)


def _apply(step: Augmentation, document: Document, seed: int, corpus: Corpus) -> Any:
    law, saved = "it fails on no document, and its edits fit the text", document.model_dump_json()
    result = attempt(step, law, lambda: step.apply(document, rng=Random(f"{seed}"), corpus=corpus), on=document)
    if document.model_dump_json() != saved:
        raise failed(step, "it changes nothing in place", f"the document became {document!r:.300}", on=saved)
    return result


def _check_document(
    step: Augmentation, before: Document, after: Document, record: Any, seed: int, corpus: Corpus
) -> None:
    if after.model_copy(update={"raw_text": before.raw_text, "gold": before.gold}) != before.unannotated().with_gold(
        before.gold
    ):
        raise failed(step, "everything else of a document stays", f"it gave {after!r:.300}", on=before)
    if before.gold is None or after.gold is None:
        if (before.gold is None) != (after.gold is None):
            raise failed(step, "the gold moves along", f"it became {after.gold!r}", on=before)
        return
    if before.gold.categories != after.gold.categories:
        raise failed(step, "the gold moves along", f"the categories became {after.gold.categories!r}", on=before)
    for span in after.gold.spans:
        surface = after.surface(span)
        if not surface or surface != surface.strip():
            raise failed(step, "no span is empty or has a blank edge", f"{span!r} covers {surface!r}", on=before)
    if record is None:
        _check_same(step, before, after)
    elif _rewrites(step, before, seed, corpus):
        _check_words(step, before, after)
    else:
        _check_moved(step, before, after, record)


def _rewrites(step: Augmentation, document: Document, seed: int, corpus: Corpus) -> bool:
    rng = Random(f"{seed}")
    rng.random()  # like `apply` before `propose`
    return isinstance(step.propose(document, rng=rng, corpus=corpus), Rewrite)


def _check_same(step: Augmentation, before: Document, after: Document) -> None:
    if (after.raw_text, after.gold) != (before.raw_text, before.gold):
        raise failed(step, "a document without edits is the same", f"it gave {after!r:.300}", on=before)


def _check_words(step: Augmentation, before: Document, after: Document) -> None:
    """Check the gold of a rewrite, which defines the new spans itself."""
    wanted, found = (Counter((span.label, one.surface(span)) for span in _spans(one)) for one in (before, after))
    if lost := wanted - found:
        raise failed(step, "every gold span keeps its label and its words", f"these are gone: {dict(lost)}", on=before)


def _check_moved(step: Augmentation, before: Document, after: Document, record: Any) -> None:
    aligned = AlignedText(before.raw_text, (record,))
    expected = [(*aligned.to_current(span.start, span.end), span.label) for span in _spans(before)]
    found = [(span.start, span.end, span.label) for span in _spans(after)]
    if aligned.current != after.raw_text or found != expected:
        what = f"the edits make {aligned.current!r:.100} with {expected}, it gave {after.raw_text!r:.100} with {found}"
        raise failed(step, "the gold moves along with the edits", what, on=before)


def _spans(document: Document) -> tuple[Span, ...]:
    return document.gold.spans if document.gold is not None else ()


def _documents(seed: int) -> Iterator[Document]:
    for number, text in enumerate([*_PLAIN * 10, *FIXED_TEXTS, *messy_texts(seed=seed, count=_RANDOM_TEXTS)]):
        occurrences = ((text.find(name), name) for name in _NAMES if number % 3 != 2)
        spans: list[Span] = []
        for start, name in occurrences:
            end = start + len(name)
            if start >= 0 and all(end <= span.start or start >= span.end for span in spans):
                spans.append(Span(start=start, end=end, label="CITY" if name in _NAMES[4:7] else "NAME"))
        gold = Annotation(spans=tuple(sorted(spans, key=lambda span: span.start)), categories=(Category(label="a"),))
        yield Document(raw_text=text, id=str(number), gold=gold, metadata={"source": "check"})
