"""The characters, words and spans of a document from which augmentations choose."""

import re

from nlp_inference.document import Document, Span

_WORD = re.compile(r"\S+")


def gold_spans(document: Document) -> tuple[Span, ...]:
    """Return the gold spans of all heads; empty if the document is not annotated."""
    return () if document.gold is None else document.gold.all_spans()


def covered_characters(document: Document) -> bytearray:
    """Return for each character of the raw text 1 if a gold span covers it, else 0."""
    covered = bytearray(len(document.raw_text))
    for span in gold_spans(document):
        covered[span.start : span.end] = b"\1" * (span.end - span.start)
    return covered


def free_words(document: Document) -> list[tuple[int, int]]:
    """Return the ranges of words separated by white space that do not overlap a gold span.

    Example:
        >>> from nlp_inference.document import Annotation
        >>> gold = Annotation(spans=(Span(start=7, end=11, label="CITY"),))
        >>> free_words(Document(raw_text="I like Rome, too", gold=gold))
        [(0, 1), (2, 6), (13, 16)]
    """
    covered = covered_characters(document)
    words = (match.span() for match in _WORD.finditer(document.raw_text))
    return [word for word in words if not any(covered[slice(*word)])]


def lone_spans(document: Document) -> list[Span]:
    """Return the gold spans that do not overlap another, in text order."""
    spans = sorted(gold_spans(document), key=lambda span: (span.start, span.end))
    lone = []
    reach = 0  # the end of the previous spans
    for index, span in enumerate(spans):
        after = spans[index + 1].start if index + 1 < len(spans) else span.end
        if span.start >= reach and after >= span.end:
            lone.append(span)
        reach = max(reach, span.end)
    return lone
