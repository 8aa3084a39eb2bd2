"""Shuffled sentences."""

import re
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from nlp_inference.document import Annotation, Document
from nlp_inference.document.aligned_text import Edit
from nlp_training.augment.base import Augmentation, Rewrite, Share, draw
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.places import covered_characters

_BETWEEN = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)\]]))\s+|(?<!\s)\s*\n\s*|(?<=[。！？])\s*")
Place = tuple[int, int]


class ShuffleSentences(Augmentation):
    """Exchange sentences and lines; the white space between them is kept.

    A sentence ends at `.`, `!`, `?` or `…` before white space, at `。`, `！` or `？`, and at the end of a line.
    Sentences that share a gold span move together.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of sentences to move; two sentences may always be moved.

    Example:
        >>> from nlp_inference.document import Span
        >>> from nlp_training.augment import Augmenter
        >>> gold = Annotation(spans=(Span(start=13, end=17, label="CITY"),))
        >>> shuffle = Augmenter([ShuffleSentences(probability=1)])
        >>> document = shuffle(Document(raw_text="It rains. In Rome.", gold=gold), epoch=0).document
        >>> document.raw_text, document.surface(document.gold.spans[0])
        ('In Rome. It rains.', 'Rome')
    """

    name = "shuffle_sentences"

    max_share: Share = 1.0

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Rewrite:
        """Return an edit for each sentence that another one replaces, and the moved gold."""
        text, places = document.raw_text, sentence_places(document)
        if len(places) < 2:
            return Rewrite((), document.gold)
        drawn = draw(range(len(places)), self.max_share, rng)
        if len(drawn) < 2:
            drawn = sorted(rng.sample(range(len(places)), 2))
        turn = rng.randrange(1, len(drawn))  # a rotation of a shuffle moves every sentence
        mixed = rng.sample(drawn, len(drawn))
        order = list(range(len(places)))
        for place, sentence in zip(mixed, [*mixed[turn:], *mixed[:turn]], strict=True):
            order[place] = sentence
        edits = [
            Edit(*places[place], text[slice(*places[sentence])])
            for place, sentence in enumerate(order)
            if place != sentence
        ]
        return Rewrite(edits, _moved(document.gold, places, order))


def sentence_places(document: Document) -> list[Place]:
    """Return the offsets of each sentence of the raw text without white space between; gold spans are not split."""
    text, covered = document.raw_text, covered_characters(document)
    gaps = [
        (start, end)
        for start, end in (match.span() for match in _BETWEEN.finditer(text))
        if start > 0
        and end < len(text)
        and not any(covered[start:end])
        and not (start == end and covered[start - 1] and covered[start])
    ]
    bounds = [(0, 0), *gaps, (len(text), len(text))]
    return [(before[1], after[0]) for before, after in pairwise(bounds) if before[1] < after[0]]


def _moved(gold: Annotation | None, places: Sequence[Place], order: Sequence[int]) -> Annotation | None:
    if gold is None or not gold.all_spans():
        return gold
    shifts = [0] * len(places)  # by sentence
    longer = 0
    for place, sentence in enumerate(order):
        (start, end), (old_start, old_end) = places[place], places[sentence]
        shifts[sentence] = start + longer - old_start
        longer += (old_end - old_start) - (end - start)
    spans = []
    for span in gold.spans:
        [shift] = [
            shifts[index] for index, (start, end) in enumerate(places) if start <= span.start and span.end <= end
        ]
        spans.append(span.model_copy(update={"start": span.start + shift, "end": span.end + shift}))
    heads = {name: _moved(one, places, order) for name, one in gold.heads.items()}
    return gold.model_copy(update={"spans": tuple(spans), "heads": heads})
