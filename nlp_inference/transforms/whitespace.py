"""Normalization of white space."""

import re
from collections.abc import Iterator
from functools import lru_cache

from nlp_inference.document.aligned_text import Edit, make_edit
from nlp_inference.transforms.base import Transform


class CollapseWhitespace(Transform):
    """Replace every run of white space by one space, and remove it at both ends.

    White space is defined by `str.isspace`, so without `keep_newlines` the result is `" ".join(text.split())`.

    Args:
        keep_newlines: whether a run with a line break (as defined by `str.splitlines`) becomes one line feed instead.

    Example:
        >>> from nlp_inference.document import Document
        >>> CollapseWhitespace()(Document(raw_text="  one \\n two ")).text
        'one two'
        >>> CollapseWhitespace(keep_newlines=True)(Document(raw_text="  one \\n two ")).text
        'one\\ntwo'
    """

    name = "collapse_whitespace"
    rewrites_only = True

    keep_newlines: bool = False

    def propose(self, text: str) -> Iterator[Edit]:
        """Return one edit for every run that is not a single plain space."""
        start = len(text) - len(text.lstrip())
        end = len(text.rstrip())
        if start:
            yield Edit(0, start, "")
        if start < end:
            for run in _runs().finditer(text, start, end):
                breaks = self.keep_newlines and len(f".{run[0]}.".splitlines()) > 1
                yield make_edit((*run.span(), "\n" if breaks else " "))
            if end < len(text):
                yield Edit(end, len(text), "")


@lru_cache(maxsize=1)
def _runs() -> "re.Pattern[str]":
    return re.compile(r" \s+|[^\S ]\s*")
