"""Irregular white space, as in forms, mails and PDF files."""

import re
from collections.abc import Iterable
from random import Random
from typing import Literal

from nlp_training.augment.base import LocalChange, Share

_SPACE = re.compile(" ")
_WRITTEN = {"double": "  ", "no_break": "\u00a0", "line_break": "\n", "tab": "\t"}


class MessyWhitespace(LocalChange):
    """Replace spaces by two spaces, a no-break space, a line break or a tab.

    The transform `collapse_whitespace` restores the text.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of spaces to change.
        in_spans: whether spaces in gold spans may be changed.
        kinds: the replacements, with equal probability.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> messy = Augmenter([MessyWhitespace(probability=1, kinds=("line_break",))])
        >>> messy(Document(raw_text="one two"), epoch=0).document.raw_text
        'one\\ntwo'
    """

    name = "messy_whitespace"

    max_share: Share = 0.2
    kinds: tuple[Literal["double", "no_break", "line_break", "tab"], ...] = ("double", "no_break", "line_break")

    def places(self, text: str) -> Iterable[tuple[int, int]]:
        """Return every space."""
        return [match.span() for match in _SPACE.finditer(text)]

    def change(self, text: str, start: int, end: int, rng: Random) -> str:
        """Return the replacement."""
        return _WRITTEN[rng.choice(self.kinds)]
