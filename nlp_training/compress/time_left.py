"""An estimate of the time that a compression still needs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

_TEACHER = 0.4
"""The cost of running the teacher, as a share of a training step of a model with all its layers."""


class TimeLeft:
    """Estimates the remaining seconds from those of finished students.

    Args:
        shares: for each student, the share of the teacher's layers that it keeps.
        variants: how many variants of each student are exported and scored.

    Example:
        >>> left = TimeLeft([0.5, 0.3], 2)
        >>> left.text()
        ''
    """

    def __init__(self, shares: Sequence[float], variants: int) -> None:
        self._costs = [share + _TEACHER for share in shares]
        self._variants = variants
        self._trained = [0.0, 0.0]  # costs, seconds
        self._scored = [0.0, 0.0]  # students, seconds
        self._next = 0

    @contextmanager
    def training(self, index: int) -> Iterator[None]:
        """Time the training of a student; one that was finished before counts nothing."""
        begun = perf_counter()
        yield
        seconds = perf_counter() - begun
        if seconds > 1:
            self._trained[0] += self._costs[index]
            self._trained[1] += seconds
        self._next = index + 1

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Time the exports and scores of a student."""
        begun = perf_counter()
        yield
        self._scored[0] += 1
        self._scored[1] += perf_counter() - begun

    def seconds(self) -> float | None:
        """Return the estimate; `None` before the first student is finished."""
        if not self._trained[0] or not self._scored[0]:
            return None
        rest = self._costs[self._next :]
        return sum(rest) * self._trained[1] / self._trained[0] + len(rest) * self._scored[1] / self._scored[0]

    def text(self) -> str:
        """Return the estimate for a title, or nothing."""
        seconds = self.seconds()
        return "" if seconds is None else f", about {max(1, round(seconds / 60))} min left"
