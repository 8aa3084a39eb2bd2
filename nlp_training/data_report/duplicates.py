"""Repeated texts across splits, which make scores too high, and within splits."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from nlp_inference import Annotation, Document
from nlp_inference.registry import Spec
from nlp_training.data_report.findings import Tally, place_of, shortened
from nlp_training.data_report.near_duplicates import NearDuplicates, NearText
from nlp_training.gold import gold_kind

SplitPair = tuple[str, str]
"""An earlier split, and the split whose documents occur in it. Both are the same for repetitions within a split."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The duplicates and near-duplicates of documents in an earlier split, or earlier in the same split.

    Attributes:
        exact: documents with the same text as an earlier document.
        near: documents with almost the same text as one in the earlier split, but not the same text as any in it.
        contradictions: documents with the text of an earlier document, the first of its split, but different gold.
    """

    exact: dict[SplitPair, Tally] = field(default_factory=lambda: defaultdict(Tally))
    near: dict[SplitPair, Tally] = field(default_factory=lambda: defaultdict(Tally))
    contradictions: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))


class _First(NamedTuple):
    """The first document with a text in a split."""

    position: int
    gold: int


class DuplicateSearch:
    """A search for duplicates in the documents of several splits, which are added one after the other.

    Two documents have the same text if the model reads the same: texts and text pairs are compared after preprocessing.
    Documents without text are not duplicates. The search needs about 300 bytes per text.

    Args:
        needs: the kind of gold that must agree.
        read: returns the text that the model reads of a document.
    """

    def __init__(self, needs: Spec, read: Callable[[Document], str]) -> None:
        self.found = Duplicates()
        self._kind = gold_kind(needs)
        self._documents: list[tuple[str, Document]] = []
        self._firsts: dict[bytes, dict[str, _First]] = {}
        self._near = NearDuplicates(lambda position: read(self._documents[position][1]))
        self._splits: list[str] = []

    def add(self, split: str, documents: Sequence[Document], read: Sequence[str]) -> None:
        """Add documents of a split with the text that the model reads of each."""
        if split not in self._splits:
            self._splits.append(split)
        new: list[NearText] = []
        for document, text in zip(documents, read, strict=True):
            if not text.strip():
                continue
            twins = self._splits_with(split, document, text)
            if split not in twins:
                known = frozenset(map(self._splits.index, twins))
                new.append(NearText(text, len(self._documents), known))
            self._documents.append((split, document))
        self._near.add(new, group=self._splits.index(split))

    def finish(self) -> Duplicates:
        """Find the near-duplicates, and return all duplicates."""
        for pair in self._near.find():
            (split, document), (earlier_split, earlier) = self._documents[pair.position], self._documents[pair.earlier]
            self.found.near[earlier_split, split].add(partial(_almost, document, earlier, pair.similarity))
        return self.found

    def _splits_with(self, split: str, document: Document, text: str) -> list[str]:
        """Count earlier documents with this text, and return their splits."""
        gold = hash(self._comparable(document))
        firsts = self._firsts.setdefault(blake2b(text.encode(), digest_size=16).digest(), {})
        twins = list(firsts)
        for earlier_split, first in firsts.items():
            other = self._documents[first.position][1]
            self.found.exact[earlier_split, split].add(partial(_pair, document, other))
        other_gold = [first for first in firsts.values() if first.gold != gold]
        if other_gold:
            other = self._documents[other_gold[0].position][1]
            self.found.contradictions[split].add(partial(_pair, document, other))
        firsts.setdefault(split, _First(len(self._documents), gold))
        return twins

    def _comparable(self, document: Document) -> frozenset[tuple[str, str]]:
        """Return the gold without offsets, which differ if the raw texts differ."""
        annotation = document.gold or Annotation()
        numbers = {(name, repr(number)) for name, number in self._kind.numbers(annotation).items()}
        found = {(one.label, one.surface(document.raw_text)) for one in self._kind.compared(annotation)}
        return frozenset(found | numbers)


def text_read(document: Document) -> str:
    """Return the text, or both texts of a pair, of a preprocessed document."""
    return document.text if document.text_pair is None else f"{document.text}\n{document.text_pair}"


def _pair(document: Document, other: Document) -> str:
    return f"{_description(document)} and {place_of(other)}"


def _almost(document: Document, other: Document, similarity: float) -> str:
    return f"{_description(document)} is {similarity:.0%} like {_description(other)}"


def _description(document: Document) -> str:
    return f"{place_of(document)} {shortened(document.raw_text)}"
