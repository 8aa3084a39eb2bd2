"""Replacement of addresses, names and numbers by tokens."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Literal

import regex
from pydantic import Field

from nlp_inference.document.aligned_text import Edit, Range, make_edit
from nlp_inference.document.deletions import find_replaced
from nlp_inference.transforms.base import Transform

Kind = Literal["url", "email", "user", "number"]

_PATTERNS: dict[Kind, str] = {
    "url": r"(?<!\w)(?:(?:https?|ftp)://|www\.)[^\s<>\"'“”«»]*[^\s<>\"'“”«».,;:!?)\]}…]",
    "email": r"(?<![\w.+-])[\w.+-]{1,64}+@(?:[\w-]{1,63}+\.){1,8}[^\W\d_]{2,24}\b",
    "user": r"(?<![\w@.])@\w{1,50}+(?![@\w])",
    "number": r"(?<!\w)(?<!\d[.,:/])[+-]?\d++(?:[.,:/]\d++)*+(?!\w)",
}


class Mask(Transform):
    """Replace web addresses, e-mail addresses, user names and numbers by tokens, in one pass.

    The replaced text is reported as deleted (`Coverage.deleted`), so that `redact` masks it.

    Args:
        kinds: the kinds to replace; if two match, the first of url, email, user, number.
        url, email, user, number: the tokens.

    Example:
        >>> from nlp_inference.document import Document
        >>> Mask()(Document(raw_text="@ana wrote to bo@example.org: see https://example.org/x.")).text
        '[USER] wrote to [EMAIL]: see [URL].'
        >>> Mask(kinds=("number",), number="0")(Document(raw_text="12,500 of them")).text
        '0 of them'
    """

    name = "mask"

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("url", "email", "user")
    url: str = "[URL]"
    email: str = "[EMAIL]"
    user: str = "[USER]"
    number: str = "[NUMBER]"

    def propose(self, text: str) -> Iterator[Edit]:
        """Return one edit for every address, name or number."""
        tokens = {"url": self.url, "email": self.email, "user": self.user, "number": self.number}
        for match in _pattern(frozenset(self.kinds)).finditer(text):
            yield make_edit((*match.span(), tokens[str(match.lastgroup)]))

    def find_deleted(self, text: str, edits: Sequence[Edit]) -> Iterable[Range]:
        """Return the replaced ranges, because the model sees only the token."""
        return find_replaced(text, edits)


@lru_cache(maxsize=16)
def _pattern(kinds: frozenset[Kind]) -> "regex.Pattern[str]":
    chosen = [f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items() if kind in kinds]
    return regex.compile("|".join(chosen), regex.IGNORECASE)
