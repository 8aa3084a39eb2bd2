"""Notes on what a reader skips: annotations of kinds that it does not read, and records with blank labels.

Readers count such annotations with `count_unread`; the caller of the reader collects the counts and reports them once.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nlp_training.data.errors import DataWarning

OnNote = Callable[[str], None]
"""A callback that receives a sentence on what was skipped; without it, the sentence is a `DataWarning`."""

_unread: ContextVar[Counter[str] | None] = ContextVar("nlp_training_unread", default=None)


class Notes:
    """Counts of what one reader skips.

    Example:
        >>> notes = Notes()
        >>> with notes.collecting():
        ...     count_unread("events (E)", 2)
        >>> notes.tell("set", print)
        set: not read as annotations: 2 x events (E). See docs/data.md for what each format supports
    """

    def __init__(self) -> None:
        self.unread: Counter[str] = Counter()
        self.blank = 0

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the counts of the block."""
        token = _unread.set(self.unread)
        try:
            yield
        finally:
            _unread.reset(token)

    def tell(self, where: str, on_note: OnNote | None) -> None:
        """Report the counts, if there are any.

        Args:
            where: the name of the source.
            on_note: receives each sentence; without it, the sentence is a `DataWarning`.
        """
        sentences = []
        if self.unread:
            counts = ", ".join(f"{count} x {kind}" for kind, count in self.unread.most_common())
            sentences.append(
                f"{where}: not read as annotations: {counts}. See docs/data.md for what each format supports"
            )
        if self.blank:
            sentences.append(f"{where}: {self.blank} records with a blank label were skipped (blank_labels: skip)")
        for text in sentences:
            if on_note is None:
                warnings.warn(text, DataWarning, stacklevel=2)
            else:
                on_note(text)


def count_unread(kind: str, count: int = 1) -> None:
    """Count annotations that a reader does not read; this does nothing unless a caller collects the counts."""
    counter = _unread.get()
    if counter is not None and count:
        counter[kind] += count


def count_unread_keys(record: Mapping[str, Any]) -> None:
    """Count metadata keys of a record that look like annotations of other tools.

    Example:
        >>> notes = Notes()
        >>> with notes.collecting():
        ...     count_unread_keys({"relations": [{"head": 1}], "page": 3, "tags": []})
        >>> dict(notes.unread)
        {"the key 'relations'": 1}
    """
    for key, value in record.items():
        is_json = isinstance(value, str) and value.startswith(("[", "{"))  # in a column of a CSV file
        if key in _KEYS and (is_json or (isinstance(value, list | dict) and value)):
            count_unread(f"the key {key!r}")


_KEYS = frozenset(
    {"annotations", "arcs", "accept", "cats", "categories", "completions", "drafts", "entities", "events"}
)
_KEYS |= {"label", "labels", "ner", "ner_tags", "predictions", "relations", "sents", "spans", "tags"}
"""Keys of annotations in Label Studio, doccano, Prodigy and spaCy, if their value is a list or an object."""
