"""Case conversion."""

from collections.abc import Callable, Iterable

from nlp_inference.document.aligned_text import Edit
from nlp_inference.transforms.base import Transform
from nlp_inference.transforms.diff import character_edits


class Lowercase(Transform):
    """Convert to lowercase as `str.lower` does, including final sigma and the dot of `İ`.

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
    """Fold case as `str.casefold` does, for case-insensitive comparison: `ß` becomes `ss`.

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
    """Return the edits from `text` to `change(text)`; `change` must give each character the same size as alone."""
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
