"""Normalization of typographic punctuation."""

from collections.abc import Iterator
from functools import lru_cache

import regex

from nlp_inference.document.aligned_text import Edit, make_edit
from nlp_inference.transforms.base import Transform

_QUOTES = {"'": "‘’‚‛‹›′´ʼ＇", '"': "“”„‟«»″〝〞＂"}
_DASHES = {"-": "‐‑‒–—―−﹘﹣－"}
_ELLIPSIS = {"...": "…", "..": "‥"}
_SPACES = {" ": "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"}


class NormalizePunctuation(Transform):
    """Write typographic punctuation in ASCII, character by character.

    | field | from | to |
    | --- | --- | --- |
    | `quotes` | ‘ ’ ‚ ‛ ‹ › ′ ´ ʼ ＇ | ' |
    | `quotes` | “ ” „ ‟ « » ″ 〝 〞 ＂ | " |
    | `dashes` | ‐ ‑ ‒ – — ― − ﹘ ﹣ － | - |
    | `ellipsis` | … ‥ | ... .. |
    | `spaces` | no-break, en, em, thin, ideographic and every other horizontal Unicode space | space |

    The grave accent is kept, because it marks code in texts.

    Example:
        >>> from nlp_inference.document import Document
        >>> NormalizePunctuation()(Document(raw_text="“Well…” – she said")).text
        '"Well..." - she said'
    """

    name = "normalize_punctuation"
    rewrites_only = True

    quotes: bool = True
    dashes: bool = True
    ellipsis: bool = True
    spaces: bool = True

    def propose(self, text: str) -> Iterator[Edit]:
        """Return one edit for every character of the chosen rows of the table."""
        if text.isascii():
            return
        table = _table(self.quotes, self.dashes, self.ellipsis, self.spaces)
        if table:
            for match in regex.finditer(f"[{''.join(table)}]", text):
                yield make_edit((*match.span(), table[match[0]]))


@lru_cache(maxsize=16)
def _table(*chosen: bool) -> dict[str, str]:
    rows = (_QUOTES, _DASHES, _ELLIPSIS, _SPACES)
    return {
        character: replacement
        for row, wanted in zip(rows, chosen, strict=True)
        if wanted
        for replacement, characters in row.items()
        for character in characters
    }
