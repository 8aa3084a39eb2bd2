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
    """Write lines in UTF-8 and read them in Windows-1252: `café` becomes `cafÃ©`.

    `fix_encoding` undoes it: a line that it would not give back exactly, with its gold spans, is left alone, and so is
    one in which a gold span would get white space at its edge.

    Args:
        probability: the chance that a document is changed.
        max_share: how many of the lines that are not ASCII are changed at most.

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
            if all(map(guard.allows, moved)) and _comes_back(line, edits, places=_within(spans, start, line)):
                yield from moved


def _within(spans: Iterable[Span], start: int, line: str) -> list[tuple[int, int]]:
    """The parts of the spans that lie in the line that begins at `start`."""
    end = start + len(line)
    return [
        (max(span.start, start) - start, min(span.end, end) - start)
        for span in spans
        if span.start < end and span.end > start
    ]


def _comes_back(line: str, edits: Iterable[Edit], *, places: Iterable[tuple[int, int]]) -> bool:
    """Whether the line needs no repair itself, and the repair gives it back after the edits, with every place in it.

    A repair is found by a diff, which need not tell apart characters that were broken side by side.
    """
    repair = FixEncoding()
    if repair.apply(AlignedText(line)).current != line:
        return False
    broken = AlignedText(line).edit(BreakEncoding.name, BreakEncoding.version, edits)
    repaired = repair.apply(AlignedText(broken.current))
    return repaired.current == line and all(
        repaired.to_current(*broken.to_current(*place)) == place for place in places
    )
