"""The scheduler: concurrent requests share the batches of a model."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import time_ns
from traceback import format_tb
from typing import Self

from nlp_inference.document import Document
from nlp_inference.encoding.input_rows import Row
from nlp_inference.errors import PredictionError
from nlp_inference.predict.predictor import Predictor
from nlp_inference.predict.route import TimedBatch
from nlp_inference.predict.trace import Trace
from nlp_inference.serving.lanes import Arrived, Lane, Runner, Text, Ticket
from nlp_inference.serving.window_queue import WaitingWindow

_LOGGER = logging.getLogger(__name__)

_BUDGETS_AHEAD = 4
"""Texts are encoded while fewer than this number of budgets per worker wait for the model."""

SHARED_ID = "-"
"""The id of a document while it is predicted, because several requests may share it."""

_NEW_COST = 0.1
"""The weight of a new measurement in the moving average of the cost of a character."""


class Scheduler:
    """Worker threads that predict the texts of concurrent requests, of one or several models.

    Windows are scheduled, not documents: a batch contains windows of several requests, and a long document does not
    delay short ones (see `WindowQueue`). A window runs as soon as a worker is free; nothing waits for a batch to fill.
    Each worker encodes texts, runs the model, and decodes: while one worker is in the model, the others do the rest. A
    single text on an idle server gets all threads of the machine. Identical texts in flight are computed once.

    Args:
        workers: the number of threads; `None` means that of the first predictor, at least 2.

    Attributes:
        documents: the texts in flight, identical ones counted once.
        characters: their characters.
        observers: functions that are called with the tokens of each batch.

    Example:
        >>> async def predict(texts):
        ...     with Scheduler() as scheduler:
        ...         tickets = [scheduler.submit(predictor, Document(raw_text=text)) for text in texts]
        ...         return [(await ticket.future).final for ticket in tickets]
    """

    def __init__(self, *, workers: int | None = None) -> None:
        self._count = workers
        self._changed = threading.Condition()
        self._lanes: dict[int, Lane] = {}
        self._threads: list[threading.Thread] = []
        self._idle = self._running = 0
        self._closing = False
        self._seconds_per_character = 0.0
        self.documents = self.characters = 0
        self.observers: list[Callable[[int], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def wait_seconds(self) -> float:
        """The estimated time until the texts in flight are predicted."""
        return self.characters * self._seconds_per_character / max(1, len(self._threads))

    def submit(self, predictor: Predictor, document: Document, *, decoder: Predictor | None = None) -> Ticket:
        """Queue a document, and return the ticket whose future becomes its trace. Call it in the event loop.

        Args:
            predictor: the predictor of the model.
            document: the document.
            decoder: a predictor with the same backend that decodes the outputs, as `Predictor.with_heads` returns;
                `None` means the same predictor.

        Raises:
            PredictionError: the scheduler is closed.
        """
        ticket = Ticket()
        decoder = predictor if decoder is None else decoder
        gold = None if document.gold is None else document.gold.model_dump_json()
        key = (document.raw_text, document.raw_text_pair, gold, id(decoder))  # the text keeps the decoder alive
        with self._changed:
            if self._closing:
                raise PredictionError("the server is shutting down")
            self._start(predictor)
            lane = self._lanes.get(id(predictor)) or self._lanes.setdefault(id(predictor), Lane(predictor))
            text = lane.texts.get(key)
            if text is None:
                shared = document.model_copy(update={"id": SHARED_ID, "metadata": {}})
                text = lane.texts[key] = Text(key, lane, decoder, predictor.read(shared, number=SHARED_ID))
                lane.add(text)
                self.documents += 1
                self.characters += text.characters
                if self._idle:
                    self._changed.notify()
            text.tickets.append(ticket)
        ticket.future.add_done_callback(partial(self._abandoned, text, ticket))
        return ticket

    def use(self, predictor: Predictor, runner: Runner) -> None:
        """Run the batches of a model elsewhere, such as in other processes."""
        with self._changed:
            self._lanes[id(predictor)] = Lane(predictor, runner)

    def retire(self, predictor: Predictor) -> None:
        """Forget a model that was replaced, after its texts in flight are completed."""
        with self._changed:
            lane = self._lanes.get(id(predictor))
            if lane is not None:
                lane.retired = True
                self._drop_retired(lane)

    def close(self) -> None:
        """Complete the texts in flight, and stop the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for lane in self._lanes.values():
            if lane.runner is not None:
                lane.runner.close()

    def _abandoned(self, text: Text, ticket: Ticket, future: "asyncio.Future[Trace]") -> None:
        """Remove the ticket of a request that was canceled; a text without tickets is not predicted."""
        if not future.cancelled():
            return
        with self._changed:
            if ticket in text.tickets:
                text.tickets.remove(ticket)
                if not text.tickets:
                    text.canceled = True
                    self._forget(text)

    def _forget(self, text: Text) -> None:
        if text.lane.texts.get(text.key) is text:
            del text.lane.texts[text.key]
            self.documents -= 1
            self.characters -= text.characters
            self._drop_retired(text.lane)
            if self._closing and not self.documents:
                self._changed.notify_all()

    def _drop_retired(self, lane: Lane) -> None:
        if lane.retired and not lane.texts:
            self._lanes.pop(id(lane.predictor), None)
            if lane.runner is not None:
                threading.Thread(target=lane.runner.close, daemon=True).start()

    def _start(self, predictor: Predictor) -> None:
        if not self._threads:
            count = max(2, predictor.route.workers.count) if self._count is None else self._count
            for number in range(count):
                thread = threading.Thread(target=self._work, name=f"nlp-serve-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                while (stage := self._next_stage()) is None:
                    if self._closing and not self.documents:
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
            stage()

    def _next_stage(self) -> Callable[[], None] | None:
        """Return the most urgent work, with its texts or windows removed from their queue."""
        lanes = self._lanes.values()
        for lane in lanes:
            ahead = _BUDGETS_AHEAD * len(self._threads) * lane.windows.token_budget
            if lane.has_arrived and lane.windows.tokens < ahead:
                return self._take_texts(lane)
        first = min(lanes, key=lambda one: one.windows.due, default=None)
        batch = [] if first is None else first.windows.take(workers=1 + self._idle)
        if first is None or not batch:
            return None
        if self._idle and (len(first.windows) or any(one.has_arrived for one in lanes)):
            self._changed.notify()
        alone = not self._running and not any(one.busy for one in lanes)
        self._running += 1
        return partial(self._run, first, batch, alone=alone)

    def _take_texts(self, lane: Lane) -> Callable[[], None] | None:
        arrived = min(lane.short, lane.long, key=lambda one: one.due)
        texts = arrived.take()
        if not texts:
            return self._next_stage()
        arrived.encoding = True
        if self._idle and lane.has_arrived:
            self._changed.notify()
        return partial(self._encode, lane, arrived, texts)

    def _encode(self, lane: Lane, arrived: Arrived, texts: Sequence[Text]) -> None:
        with _FailuresOf(self, texts):
            started = time_ns()
            traces = lane.predictor.route.encode([text.trace for text in texts])
            row_tokens = lane.predictor.processor.task.row_tokens
            without_rows = []
            with self._changed:
                for text, trace in zip(texts, traces, strict=True):
                    text.trace = trace
                    text.add_stage("encode", started)
                    lane.windows.add(text, [row_tokens(row) for row in trace.rows], arrived=text.arrived)
                    if not trace.rows:
                        without_rows.append(text)
            if without_rows:
                self._complete(without_rows)
        with self._changed:
            arrived.encoding = False

    def _run(self, lane: Lane, batch: Sequence[WaitingWindow[Text]], *, alone: bool) -> None:
        with _FailuresOf(self, [window.owner for window in batch]):
            rows = [one.owner.trace.rows[one.position] for one in batch]
            started = time_ns()
            try:
                results, share = self._run_rows(lane, rows, alone=alone)
            finally:
                with self._changed:
                    self._running -= 1
            with self._changed:
                for owner in {id(one.owner): one.owner for one in batch}.values():
                    owner.add_stage("model", started)
                batch_results = zip(batch, results, strict=True)
                done = [
                    one.owner for one, result in batch_results if one.owner.add_result(one.position, (result, share))
                ]
            for observe in self.observers:
                observe(sum(window.tokens for window in batch))
            self._complete(done)

    def _run_rows(self, lane: Lane, rows: Sequence[Row], *, alone: bool) -> TimedBatch:
        if lane.runner is not None:
            return lane.runner.run(rows)
        backend = lane.predictor.backend
        backend.use_threads(backend.threads if alone else max(1, backend.threads // len(self._threads)))
        return lane.predictor.route.run(rows)

    def _complete(self, texts: Sequence[Text]) -> None:
        """Decode texts whose windows all have outputs, and deliver them."""
        for predictor in {id(text.predictor): text.predictor for text in texts}.values():
            of_one = [text for text in texts if text.predictor is predictor and not text.canceled]
            traces = [text.trace.with_results([text.results[row] for row in sorted(text.results)]) for text in of_one]
            started = time_ns()
            completed = predictor.route.complete(traces)
            for text in of_one:
                text.add_stage("decode", started)
            predictor.observe(completed)
            self.deliver(of_one, completed)

    def deliver(self, texts: Sequence[Text], traces: Iterable[Trace]) -> None:
        """Resolve the tickets of completed texts, each event loop with one call."""
        resolved: dict[asyncio.AbstractEventLoop, list[tuple[Ticket, Trace]]] = {}
        with self._changed:
            for text, trace in zip(texts, traces, strict=True):
                self._learn_cost(text, trace)
                self._forget(text)
                for ticket in text.tickets:
                    ticket.stages = text.stages
                    resolved.setdefault(ticket.loop, []).append((ticket, trace))
                text.tickets = []
        for loop, pairs in resolved.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, pairs)

    def _learn_cost(self, text: Text, trace: Trace) -> None:
        cost = trace.seconds / text.characters
        first = not self._seconds_per_character
        self._seconds_per_character += (1 if first else _NEW_COST) * (cost - self._seconds_per_character)


class _FailuresOf:
    """Deliver an unexpected error as the failure of each incomplete text, so that no request waits forever."""

    def __init__(self, scheduler: Scheduler, texts: Sequence[Text]) -> None:
        self._scheduler, self._texts = scheduler, texts

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception):
            return False
        frames = "".join(format_tb(error.__traceback__))  # without the message, which may contain the text
        _LOGGER.error("a stage of prediction failed with %s\n%s", type(error).__name__, frames)
        texts = list(dict.fromkeys(self._texts))
        self._scheduler.deliver(texts, [text.trace._replace(failure=error) for text in texts])
        return True


def _resolve(pairs: Sequence[tuple[Ticket, Trace]]) -> None:
    for ticket, trace in pairs:
        ticket.resolve(trace)
