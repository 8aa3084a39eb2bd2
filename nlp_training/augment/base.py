"""The base classes of augmentations, which propose random edits of a training document and move its gold."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import floor
from random import Random
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.document.aligned_text import AlignedText, Edit, EditRecord
from nlp_inference.registry import Registered
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.places import covered_characters, gold_spans

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Texts = Literal["both", "first", "second"]
"""The texts of a pair to change, for example of a question and its passage."""
T = TypeVar("T")


class Rewrite(NamedTuple):
    """Edits that move text, and the gold of the new text, which cannot be derived from the edits."""

    edits: Sequence[Edit]
    gold: Annotation | None


class Augmentation(Registered, ABC):
    """A random change of a training document: a new raw text with its gold.

    Subclasses are pydantic models and implement `propose`. They are not transforms, so a processor cannot contain an
    augmentation.

    Args:
        probability: the probability that a text is changed, drawn in each epoch and separately for the text pair.
        texts: the texts of a pair that may be changed. A document without a text pair has only a first text.

    Example:
        >>> class Shout(Augmentation):
        ...     name = "shout_for_the_example"
        ...     def propose(self, document, *, rng, corpus):
        ...         return [Edit(len(document.raw_text), len(document.raw_text), "!" * rng.randint(1, 1))]
        >>> document, record = Shout(probability=1).apply(Document(raw_text="Hi"), rng=Random(0), corpus=Corpus())
        >>> document.raw_text, record.edits
        ('Hi!', (Edit(start=2, end=2, replacement='!'),))
    """

    kind = "augmentation"
    version: ClassVar[int] = 1
    """The version. Increment it if the same settings and seed result in a different text."""

    probability: Probability = 0.1
    texts: Texts = "both"

    @abstractmethod
    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit] | Rewrite:
        """Return edits of `document.raw_text`, in order and without overlap. No edits leave the document unchanged.

        An edit that would cut or remove a gold span or give it a blank edge is not applied; see `SpanGuard`.

        Args:
            document: the original document. For a text pair, a document with only this text and without gold.
            rng: the only source of randomness.
            corpus: the training documents.
        """

    def apply(self, document: Document, *, rng: Random, corpus: Corpus) -> tuple[Document, EditRecord | None]:
        """Change a document at random; return it with the edits, or with `None` if it is unchanged.

        Raises:
            InvalidEditError: the proposed edits are out of order, overlap, or reach outside the text.
        """
        if self.texts == "second":
            return document, None
        changed = self._changed(document, rng=rng, corpus=corpus)
        if changed is None:
            return document, None
        aligned, gold = changed
        return with_texts(document, aligned.current, document.raw_text_pair, gold), aligned.records[0]

    def apply_to_pair(self, document: Document, *, rng: Random, corpus: Corpus) -> tuple[Document, EditRecord | None]:
        """Change the text pair at random, if there is one. The gold, which refers to the first text, is unchanged.

        Raises:
            InvalidEditError: the proposed edits are out of order, overlap, or reach outside the text.
        """
        pair = document.raw_text_pair
        if self.texts == "first" or pair is None:
            return document, None
        changed = self._changed(Document(raw_text=pair), rng=rng, corpus=corpus)
        if changed is None:
            return document, None
        aligned, _ = changed
        return with_texts(document, document.raw_text, aligned.current, document.gold), aligned.records[0]

    def _changed(
        self, document: Document, *, rng: Random, corpus: Corpus
    ) -> tuple[AlignedText, Annotation | None] | None:
        """Return the new first text and its gold, or `None` if nothing changes."""
        if rng.random() >= self.probability:
            return None
        proposal = self.propose(document, rng=rng, corpus=corpus)
        if not isinstance(proposal, Rewrite):
            guard = SpanGuard(gold_spans(document))
            proposal = [edit for edit in proposal if guard.allows(edit)]
        edits = proposal.edits if isinstance(proposal, Rewrite) else proposal
        aligned = AlignedText(document.raw_text).edit(self.name, self.version, edits)
        if not aligned.records or not aligned.current.strip():
            return None
        return aligned, proposal.gold if isinstance(proposal, Rewrite) else _moved(document.gold, aligned)


class LocalChange(Augmentation):
    """An augmentation that changes some of many ranges of the text independently.

    Args:
        max_share: the maximum share of ranges of a document to change; one range may always be changed.
        in_spans: whether ranges that overlap a gold span may be changed.
    """

    max_share: Share = 0.1
    in_spans: bool = True

    @abstractmethod
    def places(self, text: str) -> Iterable[tuple[int, int]]:
        """Return the ranges that can be changed, in order and without overlap."""

    @abstractmethod
    def change(self, text: str, start: int, end: int, rng: Random) -> str:
        """Return the replacement of `text[start:end]`, one of the ranges."""

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return an edit for each drawn range."""
        text = document.raw_text
        places = list(self.places(text))
        if not self.in_spans:
            covered = covered_characters(document)
            places = [place for place in places if not any(covered[slice(*place)])]
        return [
            Edit(start, end, self.change(text, start, end, rng)) for start, end in draw(places, self.max_share, rng)
        ]


class SpanGuard:
    """A check that edits keep every span intact.

    An edit may be outside or inside a span. Edits across an edge of a span are refused, as are edits that would remove
    the first or last character of a span or replace it with white space.

    Example:
        >>> guard = SpanGuard([Span(start=2, end=5, label="X")])
        >>> [guard.allows(Edit(*edit)) for edit in ((0, 2, ""), (2, 5, "new"), (3, 4, ""), (1, 3, "x"), (2, 3, ""))]
        [True, True, True, False, False]
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        ranges = [(span.start, span.end) for span in spans]
        self._starts = {start for start, _ in ranges}
        self._ends = {end for _, end in ranges}
        self._edges = sorted(self._starts | self._ends)

    def allows(self, edit: Edit) -> bool:
        """Return whether `edit` keeps every span intact."""
        start, end, replacement = edit
        if start == end:
            return True
        after = bisect_right(self._edges, start)
        if after < len(self._edges) and self._edges[after] < end:
            return False
        if start in self._starts and replacement[:1].strip() == "":
            return False
        return not (end in self._ends and replacement[-1:].strip() == "")


def draw(items: Sequence[T], max_share: float, rng: Random) -> list[T]:
    """Draw items in their order: at least one, and at most the given share.

    Example:
        >>> draw("abcdefghij", 0.3, Random(1))
        ['j']
    """
    if not items:
        return []
    count = rng.randint(1, max(1, floor(max_share * len(items))))
    return [items[index] for index in sorted(rng.sample(range(len(items)), count))]


def _moved(gold: Annotation | None, aligned: AlignedText) -> Annotation | None:
    if gold is None:
        return None
    offsets = (aligned.to_current(span.start, span.end) for span in gold.spans)
    moved = [
        span.model_copy(update={"start": start, "end": end})
        for span, (start, end) in zip(gold.spans, offsets, strict=True)
    ]
    heads = {name: _moved(one, aligned) for name, one in gold.heads.items()}
    return gold.model_copy(update={"spans": tuple(moved), "heads": heads})


def with_texts(document: Document, text: str, pair: str | None, gold: Annotation | None) -> Document:
    """Return a new validated document with the same id and metadata, without predictions and coverage."""
    return Document(raw_text=text, raw_text_pair=pair, id=document.id, gold=gold, metadata=document.metadata)
