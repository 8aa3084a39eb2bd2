"""Visible glyphs for characters that are invisible or change how others are displayed."""

import re
from collections.abc import Callable

# Control characters except the line feed; bidirectional embeddings, overrides and isolates, with which a text can look
# different from its contents (Unicode technical report 36); zero-width spaces, line separators, tags, the byte order
# mark. Joiners and directional marks are kept, because Persian, emoji and mixed-direction texts need them.
_HIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_NAME = 100
_BLANK = {"\n": "⏎", "\t": "⇥", "\xa0": "⍽"}


def glyph(character: str) -> str:
    """Return a visible glyph for an invisible character.

    Example:
        >>> glyph("\\x1b"), glyph("\\t"), glyph("\\u202e")
        ('⟨U+001B⟩', '⇥', '⟨U+202E⟩')
    """
    return _BLANK.get(character) or f"⟨U+{ord(character):04X}⟩"


def visible(text: str, *, wrap: Callable[[str], str] = glyph) -> str:
    """Replace the invisible characters of `text`, except spaces and line feeds, by the result of `wrap`.

    Example:
        >>> visible("a\\x1b[31mb\\n")
        'a⟨U+001B⟩[31mb\\n'
    """
    return _HIDDEN.sub(lambda match: wrap(match[0]), text)


def visible_line(text: str) -> str:
    """Apply `visible` on one line, truncated to 100 characters, for untrusted names.

    Example:
        >>> visible_line("a\\nb")
        'a⏎b'
    """
    return visible(text if len(text) <= _NAME else f"{text[:_NAME]}…").replace("\n", "⏎")


def visible_change(text: str, *, limit: int) -> str:
    """Apply `visible_line` to removed or inserted text; blanks become visible, and a long text is cut in the middle.

    Example:
        >>> visible_change(" \\xa0", limit=9), visible_change("abcdefghijklm", limit=9)
        ('␣⍽', 'abcd…klm')
    """
    blank = not text.strip()
    if len(text) > limit:
        text = f"{text[: limit // 2]}…{text[len(text) - limit // 3 :]}"
    if blank:
        text = text.replace(" ", "␣")
    return visible_line(text).replace("\xa0", "⍽")
