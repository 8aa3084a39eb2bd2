"""Long texts with planted spans, and which of the spans are at the edges of windows."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nlp_inference import Document, Processor
from nlp_inference.encoding import EncodedDocument
from nlp_training.data.synthetic_pii import load_grammar, seeded, write_draft

POOL, CHATTER_MOST = 600, 2  # sentences per bank; maximum number of sentences without a span before one with a span
Span = tuple[int, int, str]
Spans = set[Span]


class Planted(NamedTuple):
    """Text and the spans to find in it."""

    text: str
    spans: Spans


def joined(parts: Sequence[Planted], *, between: str) -> Planted:
    """Join the parts to one text."""
    spans: Spans = set()
    position = 0
    for part in parts:
        spans |= {(position + start, position + end, label) for start, end, label in part.spans}
        position += len(part.text) + len(between)
    return Planted(between.join(part.text for part in parts), spans)


def sentences(bank: str, labels: set[str]) -> Iterator[Planted]:
    """Yield sentences of a bank of the synthetic documents that contain spans of these labels and no others."""
    grammar, rng = load_grammar("train"), seeded(bank)
    for _ in range(POOL):
        template = rng.choice(grammar.phrases[bank])
        pieces = write_draft(template, grammar=grammar._replace(templates={template: template}), side="test", rng=rng)
        pieces_with_spans = [
            Planted(one.clean, {(0, len(one.clean), one.label)} if one.label else set()) for one in pieces
        ]
        sentence = joined(pieces_with_spans, between="")
        if {label for _, _, label in sentence.spans} <= labels and bool(sentence.spans) == bool(labels):
            yield sentence


def make_documents(count: int, words: int, *, telling: Sequence[Planted], chatter: Sequence[Planted]) -> list[Planted]:
    """Generate texts of about `words` words, to the end of a sentence."""
    rng = random.Random(0)
    made = []
    for _ in range(count):
        parts: list[Planted] = []
        length = 0
        while length < words:
            parts += [*rng.choices(chatter, k=rng.randint(0, CHATTER_MOST)), rng.choice(telling)]
            length = sum(len(part.text.split()) for part in parts)
        made.append(joined(parts, between=" "))
    return made


def at_edges(document: Planted, processor: Processor) -> dict[Span, Planted]:
    """Return the spans that straddle or touch a window edge of the Predictor or the pipeline, each with its context.

    The context fits into one window, and the span is in its middle.
    """
    capacity = processor.layout.capacity(None)
    overlap = processor.windows.overlap_within(capacity)
    encoded = processor.encode([Document(raw_text=document.text)])[0]
    length = len(encoded.token_ids)
    begins = np.arange(0, max(1, length - overlap), capacity - overlap)  # starts of the pipeline's windows
    ours = [(window.start, window.end, window.owned_start) for window in encoded.windows]
    edges = np.unique(np.concatenate([begins, begins + capacity, np.ravel(ours)]))
    edges = edges[(edges > 0) & (edges < length)]
    found = {}
    for span in document.spans:
        first = int(np.searchsorted(encoded.offsets[:, 0], span[0]))
        after = int(np.searchsorted(encoded.offsets[:, 1], span[1])) + 1
        if np.any((edges >= first) & (edges <= after)):
            found[span] = _in_the_middle(document, span, encoded, around=(first, after), capacity=capacity)
    return found


def _in_the_middle(
    document: Planted, span: Span, encoded: EncodedDocument, *, around: tuple[int, int], capacity: int
) -> Planted:
    first, after = around
    margin = max(0, (capacity - (after - first)) // 2 - 4)  # a split word may have more tokens
    low = int(encoded.offsets[max(0, first - margin), 0])
    high = int(encoded.offsets[min(len(encoded.offsets), after + margin) - 1, 1])
    return Planted(document.text[low:high], {(span[0] - low, span[1] - low, span[2])})
