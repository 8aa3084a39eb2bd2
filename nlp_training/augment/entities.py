"""Replacement of names by other names."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Literal, Self

from pydantic import Field, model_validator

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import Edit
from nlp_training.augment.base import Augmentation, Share, draw
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.places import lone_spans


class ReplaceEntities(Augmentation):
    """Replace gold spans by other names with the same label, from a file or from the training spans.

    Overlapping spans are not replaced.

    Args:
        probability: the probability that a document is changed.
        texts: only the first text has gold spans.
        max_share: the maximum share of spans to replace.
        labels: the labels whose spans are replaced; `None` means all.
        gazetteers: by label, a UTF-8 text file with one name per line. The names of other labels are those in the
            training documents.

    Raises:
        InvalidSpecError: a file cannot be read, or contains no names.

    Example:
        >>> from nlp_inference.document import Annotation, Span
        >>> from nlp_training.augment import Augmenter
        >>> train = [
        ...     Document(raw_text=f"{city} is old", gold=Annotation(spans=(Span(start=0, end=4, label="CITY"),)))
        ...     for city in ("Rome", "Oslo")
        ... ]
        >>> augmented = Augmenter([ReplaceEntities(probability=1)], train)(train[0], epoch=0).document
        >>> augmented.raw_text, augmented.surface(augmented.gold.spans[0])
        ('Oslo is old', 'Oslo')
    """

    name = "replace_entities"

    texts: Literal["first"] = "first"
    max_share: Share = 1.0
    labels: tuple[str, ...] | None = None
    gazetteers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _files_can_be_read(self) -> Self:
        for path in self.gazetteers.values():
            read_gazetteer(path)
        return self

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return one edit for each drawn span."""
        spans = [span for span in lone_spans(document) if self.labels is None or span.label in self.labels]
        for span in draw(spans, self.max_share, rng):
            present = document.surface(span)
            names = self._names(span.label, corpus.surfaces)
            if set(names[:2]) - {present}:
                name = rng.choice(names)
                while name == present:
                    name = rng.choice(names)
                yield Edit(span.start, span.end, name)

    def _names(self, label: str, surfaces: Mapping[str, Sequence[str]]) -> Sequence[str]:
        if label in self.gazetteers:
            return read_gazetteer(self.gazetteers[label])
        return surfaces.get(label, ())


@lru_cache(maxsize=64)
def read_gazetteer(path: str) -> tuple[str, ...]:
    """Read the unique names in a file with one name per line, without blank lines.

    Raises:
        ValueError: the file cannot be read, or contains no names.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the gazetteer {path!r} cannot be read as UTF-8 text: {error}") from error
    names = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise ValueError(f"the gazetteer {path!r} is empty; write one name per line")
    return names
