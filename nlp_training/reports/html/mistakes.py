"""Mistakes of predictions: counts by kind and labels, with examples as excerpts of raw text."""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nlp_inference import Annotation, Category, Document, Relation, Span
from nlp_training.gold import GoldKind, Link, Value, WrittenText

Annotated = Span | Category | Value | Link | WrittenText

POINTS = 2000
"""How many pairs of numbers are kept of each value."""

CONTEXT = 90
LINES = 2
"""The number of characters on each side of a mistake, up to the next white space, and the maximum number of lines."""

LONGEST = 600
"""The maximum number of characters of an excerpt."""


class Labels(NamedTuple):
    """The gold and the predicted label of a mistake; `None` if there is no such label."""

    gold: str | None
    predicted: str | None


class Example(NamedTuple):
    """A mistake: the score of the model, the number and the name of the document, and an excerpt."""

    score: float
    number: int
    name: str
    excerpt: Document
    before: bool
    """Whether there is text before the excerpt."""
    behind: bool


@dataclass(slots=True)
class Mistakes:
    """The mistakes of one data set.

    Attributes:
        kind: the kind of gold.
        documents: the number of documents.
        wrong_documents: the number of documents with a mistake.
        kinds: the number of mistakes of each kind and labels.
        pairs: the counts of gold and predicted labels, including correct ones; `None` means no label.
        examples: examples of each kind and labels, the most confident first.
        numbers: for each value, gold and prediction of the first `POINTS` documents.
    """

    kind: GoldKind
    documents: int = 0
    wrong_documents: int = 0
    kinds: defaultdict[str, Counter[Labels]] = field(default_factory=lambda: defaultdict(Counter))
    pairs: Counter[Labels] = field(default_factory=Counter)
    numbers: defaultdict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    examples: defaultdict[tuple[str, Labels], list[Example]] = field(default_factory=lambda: defaultdict(list))

    def add(self, document: Document) -> None:
        """Compare the prediction of a document with its gold."""
        found, gold = document.predicted or Annotation(), document.gold or Annotation()
        self._add_numbers(found, gold)
        before = sum(map(Counter.total, self.kinds.values()))
        for one in self.kind.find_mistakes(found, gold):
            if one.name is None:
                label = one.gold.label if one.gold is not None else None
                self.pairs[Labels(label, label)] += 1
            else:
                self._add_mistake(document, one.name, one.gold, one.predicted)
        self.documents += 1
        self.wrong_documents += sum(map(Counter.total, self.kinds.values())) > before

    def _add_numbers(self, predicted: Annotation, gold: Annotation) -> None:
        found = self.kind.numbers(predicted)
        for name, number in self.kind.numbers(gold).items():
            if name in found and len(self.numbers[name]) < POINTS:
                self.numbers[name].append((number, found[name]))

    def _add_mistake(self, document: Document, kind: str, gold: Annotated | None, found: Annotated | None) -> None:
        labels = Labels(gold.label if gold else None, found.label if found else None)
        self.kinds[kind][labels] += 1
        self.pairs[labels] += 1
        score = found.score if found is not None and found.score is not None else 0.0
        kept = self.examples[kind, labels]
        most = self.kind.examples_shown
        if len(kept) < most or score > kept[-1].score:
            name = document.id if document.id is not None else f"number {self.documents}"
            example = Example(score, self.documents, name, *excerpt(document, gold, found))
            insort(kept, example, key=lambda one: (-one.score, one.number))
            del kept[most:]


def excerpt(document: Document, gold: Annotated | None, found: Annotated | None) -> tuple[Document, bool, bool]:
    """Return the text around a mistake with only the mistake marked, and whether there is text before and after it.

    Example:
        >>> rome = Span(start=198, end=202, label="CITY")
        >>> shown, before, behind = excerpt(Document(raw_text="a " * 99 + "Rome."), rome, None)
        >>> shown.surface(shown.gold.spans[0]), len(shown.raw_text), before, behind
        ('Rome', 95, True, False)
    """
    text = document.raw_text
    spans = [span for one in (gold, found) for span in _spans_of(one)]
    first, last = min((span.start for span in spans), default=0), max((span.end for span in spans), default=2 * CONTEXT)
    start, end = _word_start(text, first - CONTEXT), _word_end(text, last + CONTEXT)
    if spans:
        start, end = _few_lines(text, start, first, last, end)
    end = min(end, start + LONGEST)
    marked = [_annotation(one, start, end) for one in (gold, found)]
    shown = Document(
        raw_text=text[start:end],
        raw_text_pair=None if document.raw_text_pair is None else document.raw_text_pair[: 3 * CONTEXT],
        gold=marked[0],
        predicted=marked[1],
    )
    return shown, start > 0, end < len(text)


def examples_of(mistakes: Mistakes, kind: str, *, pairs: int) -> Iterator[tuple[Labels, int, list[Example]]]:
    """Yield the most frequent labels of a kind, with their count and examples."""
    counted = sorted(mistakes.kinds[kind].items(), key=lambda item: (-item[1], str(item[0])))
    for labels, count in counted[:pairs]:
        yield labels, count, mistakes.examples[kind, labels]


def _annotation(one: Annotated | None, start: int, end: int) -> Annotation:
    if isinstance(one, Category):
        return Annotation(categories=(one,))
    if isinstance(one, Value):
        return Annotation(values={one.label: one.value})
    if isinstance(one, WrittenText):
        return Annotation(generated=(one.text[:LONGEST],))
    shown = tuple(
        span.model_copy(update={"start": span.start - start, "end": min(span.end, end) - start})
        for span in _spans_of(one)
        if span.start < end
    )
    if not shown:
        return Annotation()
    if not isinstance(one, Link) or len(shown) < 2:
        return Annotation(spans=shown)
    return Annotation(spans=shown, relations=(Relation(head=0, tail=1, label=one.label, score=one.score),))


def _spans_of(one: Annotated | None) -> tuple[Span, ...]:
    if isinstance(one, Link):
        return one.head, one.tail
    return (one,) if isinstance(one, Span) else ()


def _few_lines(text: str, start: int, first: int, last: int, end: int) -> tuple[int, int]:
    """Limit the excerpt around `text[first:last]` to `LINES` lines on each side, including blank lines."""
    line_ends = [index for index in range(start, first) if text[index] == "\n"]
    line_starts = [index for index in range(last, end) if text[index] == "\n"]
    if len(line_ends) > LINES:
        start = line_ends[-LINES - 1] + 1
    if len(line_starts) > LINES:
        end = line_starts[LINES]
    return start, end


def _word_start(text: str, index: int) -> int:
    """Return the start of the word at an index, at most 20 characters before it."""
    index = max(0, index)
    for start in range(index, max(0, index - 20), -1):
        if text[start - 1].isspace():
            return start
    return 0 if index <= 20 else index


def _word_end(text: str, index: int) -> int:
    """Return the end of the word at an index, at most 20 characters after it."""
    for end in range(index, min(len(text), index + 20)):
        if text[end].isspace():
            return end
    return min(len(text), index + 20) if index + 20 >= len(text) else index
