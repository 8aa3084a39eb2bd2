"""Application of several augmentations, determined by seed and epoch."""

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
    """An augmentation of a training document was skipped."""


@dataclass(frozen=True, slots=True)
class Augmented:
    """A document before and after its augmentation.

    Attributes:
        source: the original document.
        document: the document for training: a new raw text with its gold.
        records: the edits from one raw text to the other, by augmentation, without augmentations that changed nothing.
        records_pair: the edits of the text pair.
    """

    source: Document
    document: Document
    records: tuple[EditRecord, ...]
    records_pair: tuple[EditRecord, ...] = ()

    def as_edits(self) -> Document:
        """Return the source with the edits applied to it, for display."""
        source, after = self.source, self.document
        aligned = AlignedText(source.raw_text, self.records, current=after.raw_text)
        if source.raw_text_pair is None:
            return source.with_aligned(aligned)
        pair = AlignedText(source.raw_text_pair, self.records_pair, current=after.raw_text_pair)
        return source.with_aligned(aligned, pair)


class Augmenter:
    """A function that applies augmentations to training documents.

    The result depends on the seed, the epoch, and the id of the document, or its text if it has no id. It does not
    depend on other documents, the order, the batch size or the number of workers, so a resumed run reads
    the same texts.

    Args:
        specs: augmentations, or their specifications in YAML, in the order of application.
        documents: the training documents, from which some augmentations take names and complete texts.
        seed: the seed of all random choices.

    Raises:
        UnknownTypeError: a specification names an augmentation that is not registered.
        InvalidSpecError: a specification is invalid for its augmentation.

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
            raise InvalidSpecError(f"expected a list of augmentations, but got {specs!r}; put it in a list")
        self.steps = tuple(Augmentation.from_spec(spec) for spec in specs)
        self.corpus = Corpus(documents)
        self.seed = seed
        self._processor: Processor | None = None
        self._has_warned = False

    def within(self, processor: Processor) -> Self:
        """Return a copy that does not change a text pair if it would not fit into the windows of `processor`.

        Warns:
            AugmentationWarning: a text pair would not fit; the warning is emitted once.
        """
        other = copy(self)
        other._processor = processor  # noqa: SLF001 - the same class
        return other

    def __call__(self, document: Document, *, epoch: int) -> Augmented:
        """Augment `document` for the epoch `epoch`, counted from 0."""
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
        """Return whether the text pair leaves room in a window for the text."""
        if self._processor is None:
            return True
        try:
            self._processor.encode([Document(raw_text="", raw_text_pair=document.raw_text_pair)])
        except InvalidDocumentError:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"augmentation would make the text pair of document {document.id!r} too long for a window; it is "
                    "not changed, nor are other such pairs: increase windows.max_length, or augment only the first "
                    "text (texts: first)",
                    AugmentationWarning,
                    stacklevel=2,
                )
            return False
        return True

    def _seed_of(self, document: Document, *, epoch: int, step: str) -> str:
        """Return a string seed, which Python hashes with SHA-512, so different seeds give unrelated numbers."""
        which = f"text:{document.raw_text}" if document.id is None else f"id:{document.id}"
        return f"{self.seed}:{epoch}:{step}:{which}"
