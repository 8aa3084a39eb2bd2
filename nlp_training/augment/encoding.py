"""Text that was decoded with the wrong encoding."""

import re
from collections.abc import Iterable
from random import Random

from nlp_inference.document import Document, Span
from nlp_inference.document.aligned_text import AlignedText, Edit
from nlp_inference.transforms import FixEncoding
from nlp_training.augment.base import Augmentation, Share, SpanGuard, draw
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.places import gold_spans
from nlp_training.data.synthetic_pii.mess import mojibake

_NOT_ASCII = re.compile(r"[^\x00-\x7F]")


class BreakEncoding(Augmentation):
    """Encode lines in UTF-8 and decode them in Windows-1252: `café` becomes `cafÃ©`.

    `fix_encoding` reverses it. A line that it would not restore exactly with its gold spans is not changed, nor is a
    line in which a gold span would get white space at an edge.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of the lines that are not ASCII to change.

    Example:
        >>> from nlp_training.augment import Augmenter
        >>> broken = Augmenter([BreakEncoding(probability=1)])
        >>> broken(Document(raw_text="un café noir"), epoch=0).document.raw_text
        'un cafÃ© noir'
    """

    name = "break_encoding"

    max_share: Share = 1.0

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return an edit for each character of the drawn lines that is not ASCII."""
        spans = gold_spans(document)
        guard = SpanGuard(spans)
        start = 0
        lines: list[tuple[int, str]] = []
        for line in document.raw_text.split("\n"):
            if not line.isascii():
                lines.append((start, line))
            start += len(line) + 1
        for start, line in draw(lines, self.max_share, rng):
            edits = [Edit(*match.span(), mojibake(match[0])) for match in _NOT_ASCII.finditer(line)]
            moved = [Edit(start + edit.start, start + edit.end, edit.replacement) for edit in edits]
            if all(map(guard.allows, moved)) and _is_restored(line, edits, ranges=_within(spans, start, line)):
                yield from moved


def _within(spans: Iterable[Span], start: int, line: str) -> list[tuple[int, int]]:
    """Return the parts of the spans inside the line that begins at `start`."""
    end = start + len(line)
    return [
        (max(span.start, start) - start, min(span.end, end) - start)
        for span in spans
        if span.start < end and span.end > start
    ]


def _is_restored(line: str, edits: Iterable[Edit], *, ranges: Iterable[tuple[int, int]]) -> bool:
    """Return whether the line needs no repair, and the repair restores it and the given ranges after the edits.

    The repair is computed by a diff, which may not distinguish adjacent broken characters.
    """
    repair = FixEncoding()
    if repair.apply(AlignedText(line)).current != line:
        return False
    broken = AlignedText(line).edit(BreakEncoding.name, BreakEncoding.version, edits)
    repaired = repair.apply(AlignedText(broken.current))
    return repaired.current == line and all(repaired.to_current(*broken.to_current(*one)) == one for one in ranges)
