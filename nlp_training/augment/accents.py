"""Missing accents."""

from collections.abc import Iterable
from random import Random

from nlp_inference.document.aligned_text import apply_edits
from nlp_inference.transforms import StripAccents
from nlp_training.augment.base import LocalChange, Share


class DropAccents(LocalChange):
    """Remove accents: `é` becomes `e`, like the transform `strip_accents`.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of accents to remove.
        in_spans: whether gold spans may lose accents.

    Example:
        >>> from nlp_inference.document import Document
        >>> from nlp_training.augment import Augmenter
        >>> Augmenter([DropAccents(probability=1)])(Document(raw_text="un café"), epoch=0).document.raw_text
        'un cafe'
    """

    name = "drop_accents"

    max_share: Share = 1.0

    def places(self, text: str) -> Iterable[tuple[int, int]]:
        """Return every character with an accent, and every separate accent."""
        return [(edit[0], edit[1]) for edit in StripAccents().propose(text)]

    def change(self, text: str, start: int, end: int, rng: Random) -> str:
        """Return the character without its accent."""
        accented = text[start:end]
        return apply_edits(accented, StripAccents().propose(accented))
