"""Upper and lower case."""

from collections.abc import Callable, Iterable

from nlp_inference.document.aligned_text import Edit
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
    rewrites_only = True

    def propose(self, text: str) -> Iterable[Edit]:
        """Return one edit for every character that changes."""
        return _edits_by_character(text, str.lower)


class Casefold(Transform):
    """Fold case as `str.casefold` does, for comparison without regard to case: `ß` becomes `ss`.

    Example:
        >>> from nlp_inference.document import Document
        >>> Casefold()(Document(raw_text="Straße")).text
        'strasse'
    """

    name = "casefold"
    rewrites_only = True

    def propose(self, text: str) -> Iterable[Edit]:
        """Return one edit for every character that changes."""
        return _edits_by_character(text, str.casefold)


def _edits_by_character(text: str, change: Callable[[str], str]) -> Iterable[Edit]:
    """Edits that make `change(text)` of `text`, where `change` gives each character the size that it gives it alone."""
    changed = change(text)
    if len(changed) == len(text):
        return character_edits(text, changed)
    edits: list[Edit] = []
    position = 0
    for index, character in enumerate(text):
        size = len(change(character))
        replacement = changed[position : position + size]
        if replacement != character:
            edits.append(Edit(index, index + 1, replacement))
        position += size
    return edits
