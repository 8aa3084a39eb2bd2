"""Accumulates the profile of what is served, cheaply: many documents at a time."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

from nlp_inference.drift.counting import Served, profile_documents
from nlp_inference.drift.profile import Profile

_DOCUMENTS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 250_000


class ProfileRecorder:
    """Counts documents as they are served. May be called from several threads.

    The newest documents, 256 of them or 250,000 characters, wait in memory to be counted together; of the others only
    counts are kept.

    Args:
        unknown_id: the id of the vocabulary's unknown token, if it has one.
        transforms: names of the transforms that may change a text.

    Example:
        >>> recorder = ProfileRecorder(unknown_id=None, transforms=("strip_html",))
        >>> recorder.profile().changed
        {'strip_html': 0}
    """

    def __init__(self, *, unknown_id: int | None, transforms: Sequence[str] = ()) -> None:
        self._unknown_id = unknown_id
        self._transforms = tuple(transforms)
        self._waiting: list[Served] = []
        self._characters_waiting = 0
        self._counted = Profile(changed=dict.fromkeys(transforms, 0))
        self._lock = Lock()

    def add(self, served: Sequence[Served]) -> None:
        """Count documents with their predictions."""
        with self._lock:
            self._waiting += served
            self._characters_waiting += sum(len(document.raw_text) for document, _ in served)
            if len(self._waiting) >= _DOCUMENTS_AT_ONCE or self._characters_waiting >= _CHARACTERS_AT_ONCE:
                self._count_waiting()

    def profile(self) -> Profile:
        """What was counted so far."""
        with self._lock:
            self._count_waiting()
            return self._counted

    def _count_waiting(self) -> None:
        waiting, self._waiting, self._characters_waiting = self._waiting, [], 0
        if waiting:
            self._counted += profile_documents(waiting, unknown_id=self._unknown_id, transforms=self._transforms)

    def __getstate__(self) -> dict[str, Any]:
        """A predictor can be pickled, a lock cannot."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock())
