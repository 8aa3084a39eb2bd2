"""Character-by-character alignment of mojibake (text decoded with the wrong encoding) with its repair, in linear time.

Source: https://ftfy.readthedocs.io/en/latest/encodings.html
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from nlp_inference.document.aligned_text import Edit, make_edit

_ENCODINGS = (
    "latin-1",
    "sloppy-windows-1252",
    "sloppy-windows-1251",
    "sloppy-windows-1250",
    "sloppy-windows-1253",
    "sloppy-windows-1254",
    "sloppy-windows-1257",
    "iso-8859-2",
    "macroman",
    "cp437",
)
"""The encodings that ftfy tries; it defines the `sloppy` ones."""

_ROUNDS = 3
_PIECES = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]")


def split_repair(before: str, start: int, end: int, repaired: str) -> Iterator[Edit] | None:
    """Split the repair of `before[start:end]` into one edit per character; return `None` if it is not such a repair.

    Args:
        before: the text before the repair.
        start: start of the mojibake.
        end: end of the mojibake.
        repaired: the repaired text.

    Example:
        >>> import ftfy
        >>> broken = "мир".encode().decode("latin-1")
        >>> [edit[:2] for edit in split_repair(broken, 0, 6, "мир")]
        [(0, 2), (2, 4), (4, 6)]
    """
    usual: dict[str, str] = {}  # most characters have the same wrong form each time
    edits: list[Edit] = []
    for piece in _PIECES.findall(repaired):
        if piece.isascii():  # it has no wrong form
            form = piece
        else:
            form = usual.get(piece)
            if form is None or not before.startswith(form, start):
                form = next((one for one in _forms(piece) if before.startswith(one, start)), piece)
        if form != piece:
            usual[piece] = form
            edits.append(make_edit((start, start + len(form), piece)))
        elif not before.startswith(piece, start):
            return None
        start += len(form)
    return iter(edits) if start == end else None


@lru_cache(maxsize=65536)
def _forms(character: str) -> tuple[str, ...]:
    """Return the forms of a character after one to three rounds of wrong decoding, the longest first."""
    if character.isascii():
        return ()
    forms: dict[str, None] = {}
    rounds = [character]
    for _ in range(_ROUNDS):
        rounds = list(dict.fromkeys(wrong for one in rounds for wrong in _wrong(one)))[:16]
        forms |= dict.fromkeys(rounds)
    return tuple(sorted(forms, key=len, reverse=True))


def _wrong(text: str) -> Iterator[str]:
    """Yield all wrong decodings of `text`, also with the no-break space as a space, and as a C1 control."""
    import ftfy.bad_codecs  # noqa: F401 - registers the sloppy encodings

    encoded = text.encode()
    for encoding in _ENCODINGS:
        wrong = encoded.decode(encoding, "replace")
        if "\ufffd" not in wrong:
            yield wrong
            if "\xa0" in wrong:
                yield wrong.replace("\xa0", " ")
    control = text.encode("sloppy-windows-1252", "replace").decode("latin-1")
    if "?" not in control and control != text:
        yield control
