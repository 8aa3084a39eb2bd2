"""Missing words and wrong word order, outside of gold spans."""

import re
from collections.abc import Iterable
from random import Random

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import Edit
from nlp_training.augment.base import Augmentation, Share, draw
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.places import covered_characters, free_words

_WORD = re.compile(r"\S+")


class DropWords(Augmentation):
    """Remove words with the white space after them. Words that overlap a gold span are kept.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of words outside of gold spans to remove.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> drop = Augmenter([DropWords(probability=1)], seed=4)
        >>> drop(Document(raw_text="She lives in Rome"), epoch=0).document.raw_text
        'She lives Rome'
    """

    name = "drop_words"

    max_share: Share = 0.1

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return a deletion for each drawn word."""
        text = document.raw_text
        ends = dict(free_words(document))
        for start in draw(list(ends), self.max_share, rng):
            after = _WORD.search(text, ends[start])
            yield Edit(start, after.start() if after else len(text), "")


class SwapWords(Augmentation):
    """Swap adjacent words. Words that overlap a gold span are not moved.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of adjacent pairs outside of gold spans to swap.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> swap = Augmenter([SwapWords(probability=1)])
        >>> swap(Document(raw_text="Come here"), epoch=0).document.raw_text
        'here Come'
    """

    name = "swap_words"

    max_share: Share = 0.1

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return one edit for each drawn pair."""
        text, covered = document.raw_text, covered_characters(document)
        words = free_words(document)
        pairs = [
            (one, other)
            for one, other in zip(words[::2], words[1::2], strict=False)
            if not any(covered[one[0] : other[1]]) and text[one[1] : other[0]].isspace()
        ]
        for (start, first_end), (second_start, end) in draw(pairs, self.max_share, rng):
            between = text[first_end:second_start]
            yield Edit(start, end, f"{text[second_start:end]}{between}{text[start:first_end]}")
