"""Consistency of the annotations of the same words."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import regex

from nlp_inference import Document

_WORDS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]|\w+|[^\w\s]")
"""Words, as one character each in scripts without spaces, and single characters of anything else."""

Words = tuple[str, ...]


class Surface(NamedTuple):
    """The same words with their counts by label, and without annotation."""

    text: str
    labels: dict[str, int]
    unannotated: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return self._asdict()


@dataclass(slots=True)
class Surfaces:
    """Counts of the words of gold spans: first by label, then of their other occurrences.

    Comparison is case-sensitive. Words inside a longer span, or across its edge, do not count as unannotated.

    Example:
        >>> from nlp_inference import Annotation, Span
        >>> gold = Annotation(spans=(Span(start=0, end=4, label="CITY"),))
        >>> documents = [Document(raw_text="Rome", gold=gold), Document(raw_text="In Rome.", gold=Annotation())]
        >>> surfaces = Surfaces()
        >>> for document in documents:
        ...     surfaces.add(document)
        >>> for document in documents:
        ...     surfaces.look_for_others(document)
        >>> surfaces.missed()
        [Surface(text='Rome', labels={'CITY': 1}, unannotated=1)]
    """

    _labels: dict[Words, Counter[str]] = field(default_factory=dict)
    _lengths: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _unannotated: Counter[Words] = field(default_factory=Counter)

    def add(self, document: Document) -> None:
        """Add the gold spans of a document."""
        for span in document.gold.all_spans() if document.gold is not None else ():
            words = tuple(_WORDS.findall(document.surface(span)))
            if any(character.isalnum() for word in words for character in word):
                self._labels.setdefault(words, Counter())[span.label] += 1
                self._lengths[words[0]].add(len(words))

    def look_for_others(self, document: Document) -> None:
        """Count the words of known spans that this document does not annotate."""
        if document.gold is None or not self._labels:
            return
        annotated = bytearray(len(document.raw_text))
        for span in document.gold.all_spans():
            annotated[span.start : span.end] = b"\1" * (span.end - span.start)
        for words, start, end in self._occurrences(document.raw_text):
            if not any(annotated[start:end]):
                self._unannotated[words] += 1

    def _occurrences(self, text: str) -> Iterator[tuple[Words, int, int]]:
        """Yield the longest known surface at each position."""
        matches = list(_WORDS.finditer(text))
        words = [match.group() for match in matches]
        for index, word in enumerate(words):
            for length in sorted(self._lengths.get(word, ()), reverse=True):
                candidate = tuple(words[index : index + length])
                if candidate in self._labels:
                    yield candidate, matches[index].start(), matches[index + len(candidate) - 1].end()
                    break

    @property
    def annotated(self) -> int:
        """The number of added spans."""
        return sum(labels.total() for labels in self._labels.values())

    @property
    def inconsistent(self) -> int:
        """The number of occurrences that are annotated although most of the same words are not, or the reverse."""
        return sum(min(count, self._total(words)) for words, count in self._unannotated.items())

    @property
    def minority(self) -> int:
        """The number of spans with a different label than most spans of the same words."""
        return sum(labels.total() - max(labels.values()) for labels in self._labels.values())

    def ambiguous(self, *, shown: int = 20) -> list[Surface]:
        """Return words with several labels, those with the most spans of minority labels first."""
        several = [words for words, labels in self._labels.items() if len(labels) > 1]
        several.sort(key=lambda words: max(self._labels[words].values()) - self._labels[words].total())
        return [self._surface(words) for words in several[:shown]]

    def missed(self, *, shown: int = 20) -> list[Surface]:
        """Return words that are annotated inconsistently, the frequent and most evenly divided ones first."""
        missed = sorted(self._unannotated, key=lambda words: -min(self._unannotated[words], self._total(words)))
        return [self._surface(words) for words in missed[:shown]]

    def _total(self, words: Words) -> int:
        return self._labels[words].total()

    def _surface(self, words: Words) -> Surface:
        return Surface(" ".join(words), dict(self._labels[words].most_common()), self._unannotated[words])
