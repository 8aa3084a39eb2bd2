"""Changed upper and lower case."""

import re
from collections.abc import Iterable
from math import floor
from random import Random
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import Edit
from nlp_training.augment.base import Augmentation, Share
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.places import covered_characters

Case = Literal["lower", "upper", "title", "sentence"]

_WORDS = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_BEGINS_SENTENCE = re.compile(r"(?:\A|[.!?…]\s|\n)[\s\"'“‘(]*\Z")


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class ChangeCase(Augmentation):
    """Change consecutive words to lower case, upper case, title case, or sentence case.

    Args:
        probability: the probability that a document is changed.
        to: the cases, one of which is drawn for a document.
        max_share: the share of words to change; 1 changes the entire text.
        in_spans: whether words that touch gold spans change.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> upper = Augmenter([ChangeCase(probability=1, to=("title",))])
        >>> upper(Document(raw_text="it's a STRAßE"), epoch=0).document.raw_text
        "It's A Straße"
    """

    name = "change_case"

    to: Annotated[tuple[Case, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = (
        "lower",
        "upper",
        "title",
        "sentence",
    )
    max_share: Share = 1.0
    in_spans: bool = True

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return an edit for every character that changes."""
        text = document.raw_text
        case = rng.choice(self.to)
        words = [match.span() for match in _WORDS.finditer(text)]
        count = max(1, floor(self.max_share * len(words)))
        first = rng.randrange(max(1, len(words) - count + 1))
        chosen = words[first : first + count]
        if not self.in_spans:
            covered = covered_characters(document)
            chosen = [word for word in chosen if not any(covered[slice(*word)])]
        return [edit for start, end in chosen for edit in _edits(text, start, end, case)]


def _edits(text: str, start: int, end: int, case: Case) -> Iterable[Edit]:
    capital = case == "title" or (case == "sentence" and bool(_BEGINS_SENTENCE.search(text, max(0, start - 20), start)))
    for at in range(start, end):
        if case == "upper":
            changed = text[at].upper()
        else:
            changed = text[at].title() if capital and at == start else text[at].lower()
        if changed != text[at]:
            yield Edit(at, at + 1, changed)
