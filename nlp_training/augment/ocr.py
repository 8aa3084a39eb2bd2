"""Errors of optical character recognition."""

import re
from collections.abc import Iterable
from random import Random

from nlp_training.augment.base import LocalChange, Share

_CONFUSED = (
    ("0", "O", "o"),
    ("1", "l", "I", "|"),
    ("5", "S"),
    ("8", "B"),
    ("2", "Z"),
    ("6", "G"),
    ("c", "e"),
    ("u", "v"),
    ("h", "b"),
    ("rn", "m"),
    ("cl", "d"),
    ("vv", "w"),
    ("ri", "n"),
    ("fi", "ﬁ"),
    ("fl", "ﬂ"),
    (".", ","),
)
_INSTEAD = {one: tuple(other for other in group if other != one) for group in _CONFUSED for one in group}
_PLACES = re.compile("|".join(map(re.escape, sorted(_INSTEAD, key=len, reverse=True))))


class OcrErrors(LocalChange):
    """Confuse characters that look alike: `rn` and `m`, `0` and `O`, `1`, `l` and `I`, `cl` and `d`.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of the characters that can be misread to change.
        in_spans: whether gold spans may be misread.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> ocr = Augmenter([OcrErrors(probability=1, max_share=1)], seed=3)
        >>> ocr(Document(raw_text="modern"), epoch=0).document.raw_text
        'modem'
    """

    name = "ocr_errors"

    max_share: Share = 0.05

    def places(self, text: str) -> Iterable[tuple[int, int]]:
        """Return every range that looks like other characters."""
        return [match.span() for match in _PLACES.finditer(text)]

    def change(self, text: str, start: int, end: int, rng: Random) -> str:
        """Return the misread characters."""
        return rng.choice(_INSTEAD[text[start:end]])
