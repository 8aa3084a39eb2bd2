"""What a reader leaves out, counted while it reads and told once: annotations of kinds that it does not read, and
records that a setting skips.

Readers count with `count_unread` where they meet such an annotation; who collects is decided by who reads.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nlp_training.data.errors import DataWarning

OnNote = Callable[[str], None]
"""Receives a sentence on what was left out; without it, the sentence is a `DataWarning`."""

_unread: ContextVar[Counter[str] | None] = ContextVar("nlp_training_unread", default=None)


class Notes:
    """Counts what one reader leaves out.

    Example:
        >>> notes = Notes()
        >>> with notes.collecting():
        ...     count_unread("events (E)", 2)
        >>> notes.tell("set", print)
        set: not read as annotations: 2 x events (E). See docs/data.md for what each format carries
    """

    def __init__(self) -> None:
        self.unread: Counter[str] = Counter()
        self.blank = 0

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Count here what is met in the block."""
        token = _unread.set(self.unread)
        try:
            yield
        finally:
            _unread.reset(token)

    def tell(self, where: str, on_note: OnNote | None) -> None:
        """Tell what was counted, if anything was.

        Args:
            where: what was read.
            on_note: receives each sentence.
        """
        told = []
        if self.unread:
            counts = ", ".join(f"{count} x {kind}" for kind, count in self.unread.most_common())
            told.append(f"{where}: not read as annotations: {counts}. See docs/data.md for what each format carries")
        if self.blank:
            told.append(f"{where}: {self.blank} records with a blank label were skipped (blank_labels: skip)")
        for text in told:
            if on_note is None:
                warnings.warn(text, DataWarning, stacklevel=2)
            else:
                on_note(text)


def count_unread(kind: str, count: int = 1) -> None:
    """Count annotations that a reader does not read; where nobody collects, nothing happens."""
    counter = _unread.get()
    if counter is not None and count:
        counter[kind] += count


def count_unread_keys(record: Mapping[str, Any]) -> None:
    """Count the keys of a record, all of them metadata, that hold what other tools write annotations as.

    Example:
        >>> notes = Notes()
        >>> with notes.collecting():
        ...     count_unread_keys({"relations": [{"head": 1}], "page": 3, "tags": []})
        >>> dict(notes.unread)
        {"the key 'relations'": 1}
    """
    for key, value in record.items():
        if key in _KEYS and isinstance(value, list | dict) and value:
            count_unread(f"the key {key!r}")


_KEYS = frozenset(
    {"annotations", "arcs", "accept", "cats", "categories", "completions", "drafts", "entities", "events"}
)
_KEYS |= {"label", "labels", "ner", "ner_tags", "predictions", "relations", "sents", "spans", "tags"}
"""Under which tools keep annotations (Label Studio, doccano, Prodigy, spaCy), if they hold a list or an object."""
