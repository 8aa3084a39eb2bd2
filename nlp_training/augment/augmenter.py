"""Augmentations one after the other, as seed and epoch say."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import Self

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import AlignedText, EditRecord
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.processor import Processor
from nlp_inference.registry import Spec
from nlp_training.augment.base import Augmentation, with_texts
from nlp_training.augment.corpus import Corpus


class AugmentationWarning(UserWarning):
    """A change of a training document was not made."""


@dataclass(frozen=True, slots=True)
class Augmented:
    """A document before and after its augmentation.

    Attributes:
        source: the document as it arrived.
        document: what training reads: a new raw text, with the gold on it.
        records: the edits of each augmentation that changed something, which lead from one raw text to the other.
        records_pair: the same of the second text.
    """

    source: Document
    document: Document
    records: tuple[EditRecord, ...]
    records_pair: tuple[EditRecord, ...] = ()

    def as_edits(self) -> Document:
        """The source with the edits on it, to look at."""
        source, after = self.source, self.document
        aligned = AlignedText(source.raw_text, self.records, current=after.raw_text)
        if source.raw_text_pair is None:
            return source.with_aligned(aligned)
        pair = AlignedText(source.raw_text_pair, self.records_pair, current=after.raw_text_pair)
        return source.with_aligned(aligned, pair)


class Augmenter:
    """Applies augmentations to training documents.

    What becomes of a document is decided by the seed, the epoch, and its id, or its text if it has none; not by its
    neighbours, its place, the size of batches or the number of workers. So a resumed run reads what it would have read.

    Args:
        specs: augmentations, or their specifications as YAML holds them, in the order in which they are applied.
        documents: the training documents, from which some augmentations take names and whole texts.
        seed: of everything random.

    Raises:
        UnknownTypeError: a specification names an augmentation that is not registered.
        InvalidSpecError: a specification does not fit its augmentation.

    Example:
        >>> from nlp_inference.document import Annotation, Span
        >>> gold = Annotation(spans=(Span(start=4, end=8, label="CITY"),))
        >>> augmenter = Augmenter([{"change_case": {"probability": 1, "to": "upper"}}], seed=0)
        >>> augmented = augmenter(Document(raw_text="See Rome.", gold=gold), epoch=0)
        >>> augmented.document.raw_text, augmented.document.surface(augmented.document.gold.spans[0])
        ('SEE ROME.', 'ROME')
    """

    def __init__(
        self, specs: Iterable[Spec | Augmentation], documents: Sequence[Document] = (), *, seed: int = 0
    ) -> None:
        if isinstance(specs, str | Mapping) or not isinstance(specs, Iterable):
            raise InvalidSpecError(f"a list of augmentations was expected, but got {specs!r}; put it in a list")
        self.steps = tuple(Augmentation.from_spec(spec) for spec in specs)
        self.corpus = Corpus(documents)
        self.seed = seed
        self._processor: Processor | None = None
        self._has_warned = False

    def within(self, processor: Processor) -> Self:
        """The same, but a second text that would outgrow the windows of `processor` stays as it arrived.

        Warns:
            AugmentationWarning: of the first of them.
        """
        other = copy(self)
        other._processor = processor  # noqa: SLF001 - of this class
        return other

    def __call__(self, document: Document, *, epoch: int) -> Augmented:
        """Augment `document` as training reads it in the epoch `epoch`, counted from 0."""
        source = document.unannotated().with_gold(document.gold)
        changed = source
        records: list[EditRecord] = []
        records_pair: list[EditRecord] = []
        for position, step in enumerate(self.steps):
            name = f"{position}:{step.name}:{step.version}"
            for change, found, part in ((step.apply, records, ""), (step.apply_to_pair, records_pair, ":pair")):
                rng = Random(self._seed_of(document, epoch=epoch, step=f"{name}{part}"))
                changed, record = change(changed, rng=rng, corpus=self.corpus)
                if record is not None:
                    found.append(record)
        if records_pair and not self._fits(changed):
            changed = with_texts(changed, changed.raw_text, source.raw_text_pair, changed.gold)
            records_pair = []
        return Augmented(source, changed, tuple(records), tuple(records_pair))

    def _fits(self, document: Document) -> bool:
        """Whether the second text leaves room for the first one, however long that is."""
        if self._processor is None:
            return True
        try:
            self._processor.encode([Document(raw_text="", raw_text_pair=document.raw_text_pair)])
        except InvalidDocumentError:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"augmentation would make the second text of document {document.id!r} too long for a window; it "
                    "stays as it arrived, and so does that of others: leave more room in windows.max_length, or let "
                    "the augmentations change the first text alone (texts: first)",
                    AugmentationWarning,
                    stacklevel=2,
                )
            return False
        return True

    def _seed_of(self, document: Document, *, epoch: int, step: str) -> str:
        """Python hashes a seed that is a string with SHA-512: no two of these give related numbers."""
        which = f"text:{document.raw_text}" if document.id is None else f"id:{document.id}"
        return f"{self.seed}:{epoch}:{step}:{which}"
