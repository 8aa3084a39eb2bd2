"""Efficient accumulation of the profile of predicted documents."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from nlp_inference._utils.forks import ForkSafeLock
from nlp_inference.drift.counting import Served, bin_of_any_value, profile_documents
from nlp_inference.drift.profile import Profile

_DOCUMENTS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 250_000


class ProfileRecorder:
    """Counter of predicted documents, which may be called from several threads.

    Up to 256 documents or 250,000 characters wait in memory to be counted together; of all others only counts are kept.
    A document that cannot be counted is skipped, with a `RuntimeWarning` for the first one; its prediction is valid.

    Args:
        unknown_id: the id of the vocabulary's unknown token, if it has one.
        transforms: names of the transforms that may change a text.
        bin_value: names the bin of a predicted value by its name and number; `Task.value_bin`.

    Example:
        >>> recorder = ProfileRecorder(unknown_id=None, transforms=("strip_html",))
        >>> recorder.profile().changed
        {'strip_html': 0}
    """

    def __init__(
        self,
        *,
        unknown_id: int | None,
        transforms: Sequence[str] = (),
        bin_value: Callable[[str, float], str] = bin_of_any_value,
    ) -> None:
        self._unknown_id = unknown_id
        self._transforms = tuple(transforms)
        self._bin_value = bin_value
        self._waiting: list[Served] = []
        self._characters_waiting = 0
        self._counted = self._nothing()
        self._warned = False
        self._lock = ForkSafeLock()

    def empty(self) -> "ProfileRecorder":
        """Return a recorder with the same settings that has counted nothing."""
        return ProfileRecorder(unknown_id=self._unknown_id, transforms=self._transforms, bin_value=self._bin_value)

    def add(self, served: Sequence[Served]) -> None:
        """Count documents with their predictions."""
        with self._lock:
            self._waiting += served
            self._characters_waiting += sum(
                len(document.raw_text) + len(document.raw_text_pair or "") for document, _ in served
            )
            many = len(self._waiting) >= _DOCUMENTS_AT_ONCE or self._characters_waiting >= _CHARACTERS_AT_ONCE
            waiting = self._take_waiting() if many else []
        self._count(waiting)

    def profile(self) -> Profile:
        """Return the counts so far; documents that another thread is counting are included in the next call."""
        with self._lock:
            waiting = self._take_waiting()
        self._count(waiting)
        with self._lock:
            return self._counted

    def _take_waiting(self) -> list[Served]:
        waiting, self._waiting, self._characters_waiting = self._waiting, [], 0
        return waiting

    def _count(self, waiting: Sequence[Served]) -> None:
        """Count outside the lock, so that no other thread waits."""
        if waiting:
            counted = self._profile_of(waiting)
            with self._lock:
                self._counted += counted

    def _profile_of(self, served: Sequence[Served]) -> Profile:
        """Return the profile of all documents that can be counted; after an error, each half is counted separately."""
        try:
            return profile_documents(
                served, unknown_id=self._unknown_id, transforms=self._transforms, bin_value=self._bin_value
            )
        except Exception as error:  # noqa: BLE001 - an error of the profile must not lose predictions
            if len(served) == 1:
                self._warn(served[0], error)
                return self._nothing()
        middle = len(served) // 2
        return self._profile_of(served[:middle]) + self._profile_of(served[middle:])

    def _warn(self, served: Served, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the document {served[0].id!r} was predicted, but is not counted in the drift profile: "
                f"{type(error).__name__}: {error}; later failures are skipped silently",
                RuntimeWarning,
                stacklevel=2,
            )

    def _nothing(self) -> Profile:
        return Profile(changed=dict.fromkeys(self._transforms, 0))

    def __getstate__(self) -> dict[str, Any]:
        """Omit the lock, which cannot be pickled."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=ForkSafeLock())
