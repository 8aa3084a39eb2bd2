"""Unicode normalization and removal of accents."""

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

import regex

from nlp_inference.document.aligned_text import Edit, apply_edits, make_edit
from nlp_inference.transforms.base import Transform

_JOINS_THE_PREVIOUS = (
    r"\p{M}"  # combining marks
    r"\u1160-\u11FF\uD7B0-\uD7FF"  # Hangul vowels and finals, which compose with the preceding character
    r"\u3131-\u318E\uFFA0-\uFFDC"  # letters whose compatibility form is such a Hangul jamo
    r"\uFF9E\uFF9F"  # halfwidth voicing marks of kana
    r"\U00016D63-\U00016D6A"  # Kirat Rai vowels
)
_ACCENT_BLOCKS = ((0x300, 0x36F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))


class NormalizeUnicode(Transform):
    """Convert a text to a Unicode normalization form, with one edit for every character sequence that changes.

    Args:
        form: NFC composes, NFD decomposes; NFKC and NFKD also replace compatibility characters (`ﬁ` by `fi`).

    Source: Unicode Standard Annex #15, https://www.unicode.org/reports/tr15/

    Example:
        >>> from nlp_inference.document import Document
        >>> document = NormalizeUnicode(form="NFKC")(Document(raw_text="the ﬁne cafe\\u0301"))
        >>> document.text, document.aligned.to_raw(9, 13)
        ('the fine café', (8, 13))
    """

    name = "normalize_unicode"
    rewrites_only = True

    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = "NFC"

    def propose(self, text: str) -> Iterable[Edit] | str:
        """Return one edit for every sequence that changes, or the new text if sequences depend on each other."""
        if text.isascii() or unicodedata.is_normalized(self.form, text):
            return ()
        edits = [
            make_edit((*segment.span(), normalized))
            for segment in _segments().finditer(text)
            if (normalized := unicodedata.normalize(self.form, segment[0])) != segment[0]
        ]
        whole = unicodedata.normalize(self.form, text)
        return edits if apply_edits(text, edits) == whole else whole


class StripAccents(Transform):
    """Remove accents: `é` becomes `e`, composed or not.

    Accents are the nonspacing marks of the blocks of combining diacritical marks, after canonical decomposition.
    Letters with a stroke (`ø`, `ł`) are separate letters and are kept, as are the vowel signs, points and voicing marks
    that other scripts require. Cyrillic `й` becomes `и`, as in BERT's normalizer.

    Example:
        >>> from nlp_inference.document import Document
        >>> StripAccents()(Document(raw_text="Crème brûlée à Łódź, が हिन्दी")).text
        'Creme brulee a Łodz, が हिन्दी'
    """

    name = "strip_accents"
    rewrites_only = True

    def propose(self, text: str) -> Iterator[Edit]:
        """Return one edit for every character that changes."""
        if not text.isascii():
            for match in _not_ascii().finditer(text):
                bare = _without_accents(match[0])
                if bare != match[0]:
                    yield make_edit((*match.span(), bare))


@lru_cache(maxsize=1)
def _segments() -> "regex.Pattern[str]":
    """Return a pattern of the characters that normalization may change, with the characters that may join them."""
    return regex.compile(rf"[^{_JOINS_THE_PREVIOUS}]?[{_JOINS_THE_PREVIOUS}]++|[^\x00-\x7F]", regex.DOTALL)


@lru_cache(maxsize=1)
def _not_ascii() -> "regex.Pattern[str]":
    return regex.compile(r"[^\x00-\x7F]")


@lru_cache(maxsize=4096)
def _without_accents(character: str) -> str:
    decomposed = unicodedata.normalize("NFD", character)
    kept = "".join([mark for mark in decomposed if not _is_accent(mark)])
    return character if kept == decomposed else unicodedata.normalize("NFC", kept)


def _is_accent(character: str) -> bool:
    code = ord(character)
    return any(first <= code <= last for first, last in _ACCENT_BLOCKS) and unicodedata.category(character) == "Mn"
