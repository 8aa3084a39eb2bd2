"""Removal of invisible characters."""

from collections.abc import Iterator
from functools import lru_cache

import regex

from nlp_inference.document.aligned_text import Edit, make_edit
from nlp_inference.transforms.base import Transform

_INVISIBLE = (
    r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F"  # C0 and C1 controls except tab, line feed and carriage return
    r"\u00AD\u061C\u180E"  # soft hyphen, Arabic letter mark, Mongolian vowel separator
    r"\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F"  # zero-width space, bidirectional marks, word joiner, operators
    r"\uFEFF\uFFF9-\uFFFB"  # byte order mark, interlinear annotation
    r"\U000E0000-\U000E007F"  # tags, which can hide a message
)
_JOINERS = r"\u200C\u200D"
_NEEDS_JOINERS = (
    r"[[\p{L}\p{M}]--[\p{Latin}\p{Greek}\p{Cyrillic}\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Common}\p{Inherited}]]"
)
_KEPT = (
    r"\U0001F3F4[\U000E0020-\U000E007E]++\U000E007F"  # the flag of a region, such as Scotland
    r"|[\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F]\u200D(?=\p{Extended_Pictographic})"
    rf"|{_NEEDS_JOINERS}[{_JOINERS}]"
)


class RemoveControl(Transform):
    """Remove invisible characters: controls, zero-width spaces, byte order and bidirectional marks, soft hyphens, tags.

    Tab, line feed, carriage return, variation selectors and the tags of a regional flag emoji are kept.

    Args:
        keep_joiners: whether to keep a zero-width joiner (U+200D) or non-joiner (U+200C) that has a meaning: between
            the parts of an emoji, and after a letter of a script that uses them (Arabic, Devanagari and others; not
            Latin, Greek, Cyrillic, Chinese, Japanese, Korean). All others are removed.

    Example:
        >>> from nlp_inference.document import Document
        >>> RemoveControl()(Document(raw_text="\\ufeffzero\\u200bwidth")).text
        'zerowidth'
    """

    name = "remove_control"

    keep_joiners: bool = True

    def propose(self, text: str) -> Iterator[Edit]:
        """Return one edit for every run of characters to remove."""
        if text.isascii() and text.isprintable():
            return
        for match in _pattern(keep_joiners=self.keep_joiners).finditer(text):
            if match.lastgroup == "removed":
                yield make_edit((*match.span(), ""))


@lru_cache(maxsize=2)
def _pattern(*, keep_joiners: bool) -> "regex.Pattern[str]":
    kept = _KEPT if keep_joiners else _KEPT.split("|", 1)[0]
    return regex.compile(rf"(?V1)(?P<kept>{kept})|(?P<removed>[{_INVISIBLE}{_JOINERS}]++)")
