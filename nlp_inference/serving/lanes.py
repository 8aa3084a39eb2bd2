"""Texts in flight: the requests that wait for each, and those of one model that wait to be encoded."""

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from time import monotonic, time_ns
from typing import Protocol

from nlp_inference.encoding.input_rows import Row
from nlp_inference.predict.predictor import Predictor
from nlp_inference.predict.route import TimedBatch
from nlp_inference.predict.trace import RowResult, Trace
from nlp_inference.serving.window_queue import WindowQueue

_ENCODED_TOGETHER = 32
_CHARACTERS_TOGETHER = 20_000
"""Limits of the texts that one worker encodes while the model waits for their windows."""

_LONG_CHARACTERS = 4_000
"""A longer text is encoded alone, while another worker encodes the texts that arrive after it."""

_LONG_DELAY = 0.1
"""Seconds by which a long text waits longer to be encoded than the others, so that they pass it."""


class Ticket:
    """One request's claim to the prediction of one document, awaited in an event loop.

    Attributes:
        loop: the event loop that awaits the future.
        future: the trace of the document, with its prediction or its failure.
        stages: start and end of each stage that the document reached, in nanoseconds since the epoch.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Trace] = self.loop.create_future()
        self.stages: dict[str, tuple[int, int]] = {}

    def resolve(self, trace: Trace) -> None:
        """Set the result, in the event loop."""
        if not self.future.done():
            self.future.set_result(trace)


class Text:
    """A text in flight: all requests with the same text share it.

    Attributes:
        key: what identical texts have in common.
        characters: the length of the text and of the text pair.
        canceled: whether no ticket is left.
        stages: start and end of each stage.
    """

    def __init__(self, key: Hashable, lane: "Lane", predictor: Predictor, trace: Trace) -> None:
        self.key = key
        self.lane = lane
        self.predictor = predictor
        self.trace = trace
        self.arrived = monotonic()
        document = trace.document
        self.characters = 1 + (0 if document is None else len(document.raw_text) + len(document.raw_text_pair or ""))
        self.tickets: list[Ticket] = []
        self.canceled = False
        self.results: dict[int, RowResult] = {}
        self.stages: dict[str, tuple[int, int]] = {}
        self._submitted = time_ns()

    def add_stage(self, name: str, start: int) -> None:
        """Record that a stage, or another part of it, ended now."""
        if not self.stages:
            self.stages["queue"] = self._submitted, start
        self.stages[name] = self.stages.get(name, (start, 0))[0], time_ns()

    def add_result(self, index: int, result: RowResult) -> bool:
        """Store the result of a window, and return whether it was the last one."""
        self.results[index] = result
        return len(self.results) == len(self.trace.rows)


class Runner(Protocol):
    """Runs the batches of a model instead of its predictor."""

    def run(self, rows: Sequence[Row]) -> TimedBatch:
        """Run one batch; see `Route.run`."""

    def close(self) -> None:
        """Release what it uses."""


class Arrived:
    """Texts that wait to be encoded, of which one worker at a time encodes some together."""

    def __init__(self, *, together: int, delay: float) -> None:
        self.texts: deque[Text] = deque()
        self.together, self.delay = together, delay
        self.encoding = False

    @property
    def due(self) -> float:
        """The time by which the first text is ranked; infinity if none can be encoded now."""
        return self.texts[0].arrived + self.delay if self.texts and not self.encoding else float("inf")

    def take(self) -> list[Text]:
        """Remove and return the texts that are encoded together."""
        texts: list[Text] = []
        characters = 0
        while self.texts and len(texts) < self.together and characters < _CHARACTERS_TOGETHER:
            text = self.texts.popleft()
            if not text.canceled:
                texts.append(text)
                characters += text.characters
        return texts


class Lane:
    """The texts of one model that wait to be encoded, and its windows that wait for the model."""

    def __init__(self, predictor: Predictor, runner: Runner | None = None) -> None:
        self.predictor = predictor
        self.runner = runner
        self.short = Arrived(together=_ENCODED_TOGETHER, delay=0.0)
        self.long = Arrived(together=1, delay=_LONG_DELAY)
        self.windows: WindowQueue[Text] = WindowQueue(token_budget=predictor.token_budget)
        self.retired = False
        self.texts: dict[Hashable, Text] = {}

    def add(self, text: Text) -> None:
        """Queue a text that arrived."""
        (self.long if text.characters > _LONG_CHARACTERS else self.short).texts.append(text)

    @property
    def has_arrived(self) -> bool:
        """Whether a text can be encoded now."""
        return min(self.short.due, self.long.due) < float("inf")

    @property
    def busy(self) -> bool:
        """Whether texts or windows wait, or texts are encoded."""
        return bool(len(self.windows)) or any(one.texts or one.encoding for one in (self.short, self.long))
