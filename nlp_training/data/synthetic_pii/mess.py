"""The noise of production texts, applied piece by piece so that the offsets of every value are known exactly."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from html.entities import codepoint2name
from random import Random
from re import compile as compile_pattern
from typing import Literal

Mess = Literal["typos", "case", "curly_quotes", "spaces", "zero_width", "html", "mojibake"]

_TAGS = compile_pattern(r"(<[^<>]*>)")
_CURLY = str.maketrans({"'": "’"})
_SPACES = (" ", "\u2009", "\u202f", "\u3000", "\u00a0", "\u00a0")
_ZERO_WIDTH = ("\u200b", "\u200c", "\u200d", "\ufeff", "\u00ad", "\u2060")
# What reading each byte as Windows-1252 gives; the five bytes that it leaves out become control characters.
_CP1252 = tuple(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document: its clean text, its raw text with noise, and the label of a personal value."""

    clean: str
    raw: str
    label: str | None = None


Change = Callable[[str], str]


def make_mess(pieces: list[Piece], *, rng: Random, is_html: bool) -> tuple[list[Piece], list[Mess]]:
    """Add noise to the raw text of the pieces, and return the kinds of noise.

    A value does not begin or end with white space or a zero-width character.

    Args:
        pieces: the parts of the document in order.
        rng: the source of randomness.
        is_html: whether the text between the values is already HTML.
    """
    done: list[Mess] = []

    def happens(mess: Mess, probability: float) -> bool:
        if rng.random() < probability:
            done.append(mess)
            return True
        return False

    if happens("typos", 0.15):
        pieces = _change(pieces, lambda text: _typos(text, rng), values=False)
    if happens("case", 0.12):
        change, values = rng.choice(((str.lower, True), (str.upper, True), (str.lower, False), (str.upper, False)))
        pieces = _change(pieces, change, values=values)
    if happens("curly_quotes", 0.2):
        pieces = _change(pieces, _curly_quotes, values=True)
    if happens("spaces", 0.2):
        pieces = _change(pieces, lambda text: _odd_spaces(text, rng), values=True)
    if happens("zero_width", 0.08):
        pieces = _change(pieces, lambda text: _zero_width(text, rng), values=True)
    if is_html or happens("html", 0.15):
        pieces = _to_html(pieces, rng=rng, is_html=is_html)
    if not all(piece.raw.isascii() for piece in pieces) and happens("mojibake", 0.2):
        pieces = [replace(piece, raw=mojibake(piece.raw)) for piece in pieces]
    return pieces, done


def mojibake(text: str) -> str:
    """Encode text in UTF-8 and decode it in Windows-1252.

    Example:
        >>> mojibake("Zoë’s")
        'ZoÃ«â€™s'
    """
    return text if text.isascii() else "".join(_CP1252[byte] for byte in text.encode())


def _change(pieces: list[Piece], change: Change, *, values: bool) -> list[Piece]:
    def apply(piece: Piece) -> Piece:
        if piece.label is None:
            return replace(piece, raw=_outside_tags(piece.raw, change))
        return replace(piece, raw=change(piece.raw)) if values else piece

    return [apply(piece) for piece in pieces]


def _outside_tags(text: str, change: Change) -> str:
    if "<" not in text:
        return change(text)
    return "".join(part if part.startswith("<") else change(part) for part in _TAGS.split(text))


def _typos(text: str, rng: Random) -> str:
    words = text.split(" ")
    for index, word in enumerate(words):
        if len(word) > 3 and word.isalpha() and rng.random() < 0.06:
            at = rng.randrange(1, len(word) - 1)
            swapped = f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}"
            words[index] = rng.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))
    return " ".join(words)


def _curly_quotes(text: str) -> str:
    opening, *others = text.split('"')
    return "".join([opening, *("“”"[index % 2] + part for index, part in enumerate(others))]).translate(_CURLY)


def _odd_spaces(text: str, rng: Random) -> str:
    if " " not in text:
        return text
    parts = text.split(" ")
    joints = [rng.choice(_SPACES) if rng.random() < 0.2 else "  " if rng.random() < 0.05 else " " for _ in parts[1:]]
    return parts[0] + "".join(joint + part for joint, part in zip(joints, parts[1:], strict=True))


def _zero_width(text: str, rng: Random) -> str:
    places = [at for at in range(1, len(text)) if text[at - 1].isalnum() and text[at].isalnum() and rng.random() < 0.04]
    for at in reversed(places):
        text = f"{text[:at]}{rng.choice(_ZERO_WIDTH)}{text[at:]}"
    return text


def _to_html(pieces: list[Piece], *, rng: Random, is_html: bool) -> list[Piece]:
    entities = rng.choice(("none", "names", "numbers"))
    spaces = rng.random() < 0.2
    bold = not is_html and rng.random() < 0.3

    def encode(text: str) -> str:
        text = "".join(_entity(character, entities) for character in text)
        return text.replace(" ", "&nbsp;", 1) if spaces and rng.random() < 0.2 else text

    def wrap(text: str) -> str:
        return encode(escape(text, quote=entities != "none")).replace("\n\n", "</p>\n<p>").replace("\n", "<br>\n")

    opening, closing = ("", "") if is_html else rng.choice((("<p>", "</p>"), ("<div><p>", "</p></div>")))
    written = [Piece("", opening)]
    for piece in pieces:
        if piece.label is not None:
            tags = ("<b>", "</b>") if bold else ("", "")
            value = encode(escape(piece.raw, quote=entities != "none")).replace("\n", "<br>\n")
            written += [Piece("", tags[0]), replace(piece, raw=value), Piece("", tags[1])]
        else:
            change = encode if is_html else wrap
            written.append(replace(piece, raw=_outside_tags(piece.raw, change) if is_html else change(piece.raw)))
    return [*written, Piece("", closing)]


def _entity(character: str, style: str) -> str:
    if character.isascii() or style == "none":
        return character
    name = codepoint2name.get(ord(character))
    return f"&{name};" if style == "names" and name else f"&#{ord(character)};"
