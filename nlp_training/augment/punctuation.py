"""Typographic punctuation, as in word processors."""

import re
from collections.abc import Iterable
from random import Random

from nlp_training.augment.base import LocalChange, Share

_PLACES = re.compile(r"\.\.\.|[\"'-]")
_QUOTES = {'"': ("“”", "„“", "«»"), "'": ("‘’", "‚‘", "‹›")}
_DASHES = "–—‐"


class CurlyPunctuation(LocalChange):
    """Replace quotes, hyphens and three dots by typographic forms: `“`, `–`, `…`.

    The transform `normalize_punctuation` restores the text.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of these characters to change.
        in_spans: whether gold spans may be changed.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> curly = Augmenter([CurlyPunctuation(probability=1)], seed=1)
        >>> curly(Document(raw_text="It's"), epoch=0).document.raw_text
        'It’s'
    """

    name = "curly_punctuation"

    max_share: Share = 1.0

    def places(self, text: str) -> Iterable[tuple[int, int]]:
        """Return every quote, hyphen and ellipsis."""
        return [match.span() for match in _PLACES.finditer(text)]

    def change(self, text: str, start: int, end: int, rng: Random) -> str:
        """Return the typographic form; a quote opens after white space or a bracket, otherwise it closes."""
        plain = text[start:end]
        if plain == "...":
            return "…"
        if plain == "-":
            return rng.choice(_DASHES)
        if plain == "'" and start and text[start - 1].isalnum():
            return "’"  # an apostrophe, in every language
        opens = not start or text[start - 1].isspace() or text[start - 1] in "([{"
        return rng.choice(_QUOTES[plain])[0 if opens else 1]
