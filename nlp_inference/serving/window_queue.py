"""The order in which the windows of concurrent requests run: fair by waiting time, in batches of similar length."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import merge
from itertools import count, islice
from typing import Generic, NamedTuple, Protocol, TypeVar

from nlp_inference.predict.batching import BATCHES_PER_BUDGET

_WINDOW_INTERVAL = 0.05
"""Seconds by which each further window of a document is ranked later than the one before it."""

_CANDIDATES = 64
"""The number of waiting windows, longest waiting first, from which a batch is built."""

_PART_OF_LONG_DOCUMENTS = 4
"""A batch of later windows of a document has this part of the budget, because a short text may have to wait for it."""


class Owner(Protocol):
    """The owner of windows."""

    @property
    def canceled(self) -> bool:
        """Whether nobody waits for the result any longer."""


O = TypeVar("O", bound=Owner)  # noqa: E741 - the usual name of a type variable is one letter


class WaitingWindow(NamedTuple, Generic[O]):
    """A window that waits for the model.

    Attributes:
        due: the time in seconds by which windows are ranked.
        number: a counter that ranks windows of the same time.
        tokens: the tokens of its input row.
        position: its index among the windows of its document.
        owner: the document.
    """

    due: float
    number: int
    tokens: int
    position: int
    owner: O


class WindowQueue(Generic[O]):
    """Windows that wait for the model, from which batches of at most `token_budget` tokens are taken.

    The first window of a document is ranked by its arrival, and each further window as if it had arrived 50 ms after
    the one before it. A long document therefore proceeds while shorter ones arrive, but does not delay them. The window
    that has waited longest is in the next batch; windows of similar length that waited nearly as long join it. If the
    model is slower than its long documents, later windows wait longest for a while: at most every second batch is then
    theirs, and the others contain first windows alone.

    The queue is not thread-safe.

    Args:
        token_budget: tokens of a batch, padding included. A longer window is a batch of its own.

    Example:
        >>> class Text:
        ...     canceled = False
        >>> queue = WindowQueue(token_budget=64)
        >>> long, short = Text(), Text()
        >>> queue.add(long, [60, 60, 60], arrived=0.0)
        >>> queue.add(short, [8], arrived=0.01)
        >>> [[window.tokens for window in queue.take()] for _ in range(4)]
        [[60], [8], [60], [60]]
    """

    def __init__(self, *, token_budget: int) -> None:
        self.token_budget = token_budget
        self.tokens = 0
        self._first: list[WaitingWindow[O]] = []
        self._later: list[WaitingWindow[O]] = []
        self._later_ran = False
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._first) + len(self._later)

    @property
    def due(self) -> float:
        """The rank of the first window; infinity if there is none."""
        self._drop_canceled()
        return min((waiting[0].due for waiting in (self._first, self._later) if waiting), default=float("inf"))

    def add(self, owner: O, tokens: Sequence[int], *, arrived: float) -> None:
        """Add the windows of a document.

        Args:
            owner: the document.
            tokens: the tokens of each window's input row.
            arrived: the time of its arrival, in seconds.
        """
        self._later_ran = self._later_ran and len(self) > 0
        for index, length in enumerate(tokens):
            due = arrived + index * _WINDOW_INTERVAL
            insort(self._queue_of(index), WaitingWindow(due, next(self._numbers), length, index, owner))
            self.tokens += length

    def take(self, *, workers: int = 1) -> list[WaitingWindow[O]]:
        """Remove and return the next batch; an empty list if no window waits.

        Args:
            workers: the number of workers that could run a batch now, which share what waits.
        """
        self._drop_canceled()
        if not len(self):
            return []
        only_first = self._later_ran and bool(self._first)
        waiting = self._first if only_first else list(islice(merge(self._first, self._later), _CANDIDATES))
        first = waiting[0]
        self._later_ran = first.position > 0
        budget = min(self.token_budget, -(-self.tokens // max(1, workers)))
        if first.position:
            budget = min(budget, self.token_budget // _PART_OF_LONG_DOCUMENTS)
        oldest = [window for window in waiting[:_CANDIDATES] if not window.owner.canceled]
        batch = _similar(first, oldest, budget=budget, batch_cost=self.token_budget // BATCHES_PER_BUDGET)
        for window in batch:
            self._remove(window)
        return batch

    def _drop_canceled(self) -> None:
        for waiting in (self._first, self._later):
            while waiting and waiting[0].owner.canceled:
                self._remove(waiting[0])

    def _remove(self, window: WaitingWindow[O]) -> None:
        waiting = self._queue_of(window.position)
        del waiting[bisect_left(waiting, window)]  # numbers are unique, so owners are not compared
        self.tokens -= window.tokens

    def _queue_of(self, position: int) -> list[WaitingWindow[O]]:
        return self._later if position else self._first


def _similar(
    first: WaitingWindow[O], waiting: Sequence[WaitingWindow[O]], *, budget: int, batch_cost: int
) -> list[WaitingWindow[O]]:
    """Return `first` and the windows closest in length whose padding costs less than a batch of their own."""
    by_length = sorted(waiting, key=lambda window: window.tokens)
    low = high = next(position for position, window in enumerate(by_length) if window is first)
    while True:
        padded = (high - low + 1) * by_length[high].tokens
        choices = []
        for start, end, added in ((low - 1, high, low - 1), (low, high + 1, high + 1)):
            if start >= 0 and end < len(by_length):
                after = (end - start + 1) * by_length[end].tokens
                choices.append((after - padded - by_length[added].tokens, after, by_length[added].tokens, start, end))
        if not choices:
            break
        padding, after, tokens, start, end = min(choices)
        if after > budget or padding > batch_cost + tokens // 2:
            break
        low, high = start, end
    return by_length[low : high + 1]
