"""Upper and lower case."""

from collections.abc import Iterable, Iterator

from nlp_inference.aligned_text import Edit
from nlp_inference.transforms.base import Transform
from nlp_inference.transforms.diff import character_edits


class Lowercase(Transform):
    """Lower-case as `str.lower` does, final sigma and the dot of `İ` included.

    Example:
        >>> from nlp_inference.document import Document
        >>> Lowercase()(Document(raw_text="ΟΔΥΣΣΕΥΣ")).text
        'οδυσσευς'
    """

    name = "lowercase"

    def propose(self, text: str) -> Iterable[Edit]:
        """Return one edit for every character that changes."""
        lowered = text.lower()
        if len(lowered) == len(text):
            return character_edits(text, lowered)
        return _edits_by_character(text, lowered, [len(character.lower()) for character in text])


class Casefold(Transform):
    """Fold case as `str.casefold` does, for comparison without regard to case: `ß` becomes `ss`.

    Example:
        >>> from nlp_inference.document import Document
        >>> Casefold()(Document(raw_text="Straße")).text
        'strasse'
    """

    name = "casefold"

    def propose(self, text: str) -> Iterable[Edit]:
        """Return one edit for every character that changes."""
        folded = text.casefold()
        if len(folded) == len(text):
            return character_edits(text, folded)
        return _edits_by_character(text, folded, [len(character.casefold()) for character in text])


def _edits_by_character(text: str, changed: str, sizes: list[int]) -> Iterator[Edit]:
    """Edits where each character of `text` became so many characters of `changed` as `sizes` says."""
    position = 0
    for index, (character, size) in enumerate(zip(text, sizes, strict=True)):
        replacement = changed[position : position + size]
        if replacement != character:
            yield Edit(index, index + 1, replacement)
        position += size
