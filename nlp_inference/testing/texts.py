"""Texts that are difficult in practice, fixed and random with a seed."""

from collections.abc import Iterator

import numpy as np

FRAGMENTS = (
    *("Ana", "lives", "in", "Rome", "O'Neil", "Łódź", "Ünïcödé", "北京", "東京都", "가나", "ΟΔΟΣ", "İstanbul", "ﬁne"),
    *(" ", " ", "  ", "\n", "\r\n", "\r", "\t", "\u00a0", "\u2003", "\u3000", "\u2028", "\x85", "\x1c"),
    *("\x00", "\x07", "\x7f", "\ufeff", "\u200b", "\u200c", "\u200d", "\u202e", "\u00ad", "\U000e0041"),
    *("e\u0301", "\u0301", "a\u0323\u0301", "\u1100\u1161", "क्\u200dष", "ﾊﾞ", "\u034f"),
    *("👩\u200d👩\u200d👧", "🏳️\u200d🌈", "👍🏽", "🇫🇷", "𝔘𝔫𝔦", "𐍈"),
    *("שלום", "مرحبا", "\u200fעברית\u200e", "میخواهم"),
    *("cafÃ©", "â€œHelloâ€\x9d", "schÃ¶n", "Ã", "ä¸\xad", "â€œ", "â€\x9d"),
    *("a", "é", "Σ", "ς", "İ", "ß", "ﬁ", "ﬃ", "Å", "ǆ", "가", "ㅏ", "ﾊ", "ﾞ", "が", "\u3099", "क\u094d", "❤️", "\ufe0f"),
    *("=", "</", "<!x>", "-->", "&#", "&#0;", "&#x1F600;", "&notit;", "&eacute;", "＂", "-7", "\x0b", "\x9f"),
    *("<p>", "</p>", "<b class='x'>", "<br/>", "<!--", "-->", "<script>", "</script>", "<", ">"),
    *("&amp;", "&lt", "&#233;"),
    *("“", "”", "’", "–", "…", "«", ".", ",", "-", "...", "(", "12,5", "a.b@c.org", "https://x.org/a?b", "@ana"),
)
"""Pieces of messy text: scripts, white space, controls, combining marks, emoji, mojibake, HTML, punctuation."""

FIXED_TEXTS = (
    "",
    " ",
    "\x00",
    "Ana lives in Rome.",
    "ANA LIVES IN ROME",
    "<p>Dear <b>Ana&nbsp;KovÃ¡cs</b>,</p>\r\n<p>welcome to ZÃ¼rich!</p>",
    "“Zoë\u00a0O’Neil” lives in\u00a0São\u202fPaulo…",
    "Write to ana@example.org or call +41 44 123 45 67, see https://example.org/a?b=c&d.",
    "e\u0301\u0323" * 5,
    "👩\u200d👩\u200d👧" * 3,
    "\ud7ff\ue000\U0010ffff",
    "aaaaaaaaaaaaaaaaaaaaaaaa!",
)
"""Fixed texts of every check."""

_HIGHEST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def messy_texts(*, seed: int, count: int) -> list[str]:
    """Return random texts of up to 16 pieces, from `FRAGMENTS` or of any character that UTF-8 can encode.

    Example:
        >>> messy_texts(seed=7, count=2) == messy_texts(seed=7, count=2)
        True
    """
    random = np.random.default_rng(seed)
    return ["".join(_pieces(random, int(random.integers(0, 17)))) for _ in range(count)]


def _pieces(random: np.random.Generator, count: int) -> Iterator[str]:
    for _ in range(count):
        if random.random() < 0.8:
            yield FRAGMENTS[random.integers(len(FRAGMENTS))]
        else:
            highest = (0x7F, 0x2FFF, _HIGHEST)[random.integers(3)]
            code = int(random.integers(highest + 1))
            yield "\ufffd" if code in _SURROGATES else chr(code)


def growing_texts(piece: str, *, longest: int) -> Iterator[str]:
    """Yield repetitions of one piece with increasing length, first in small steps, up to `longest` characters.

    A function of exponential time is slow in one of the small steps, so the check stops before longer texts.
    """
    length = 16.0
    while length <= longest:
        yield (piece * (int(length) // len(piece) + 1))[: int(length)]
        length *= 1.25 if length < 64 else 2
