"""The edits between two texts, for transforms that only know how to make a new text."""

from collections.abc import Iterator

from rapidfuzz.distance import Levenshtein

from nlp_inference.aligned_text import Edit


def diff_edits(before: str, after: str) -> Iterator[Edit]:
    """Find edits that turn `before` into `after`."""
    for tag, start, end, after_start, after_end in Levenshtein.opcodes(before, after):
        if tag != "equal":
            yield Edit(start, end, after[after_start:after_end])
