"""The route of documents through processor and model, stage by stage; prediction and verification both go it."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from time import perf_counter
from typing import NamedTuple

from nlp_inference._foreign_errors import is_out_of_memory
from nlp_inference.backends.base import Backend
from nlp_inference.batching import token_budget_batches
from nlp_inference.document import Document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.layout import Row
from nlp_inference.processor import Processor
from nlp_inference.tasks import Arrays
from nlp_inference.workers import Results, Workers


class Trace(NamedTuple):
    """What became of one document at each stage; what it did not reach is `None`, and `failure` says why.

    Attributes:
        id: what to call the document, also where it could not be read.
        document: as it arrived.
        encoded: after preprocessing, tokenizing and windowing.
        rows: the model's input row for each window.
        outputs: the model's outputs for each row, without the batch dimension; padding, if there was any, included.
        decoded: with what the outputs say, before postprocessing.
        final: what `Predictor.predict` returns.
        failure: what it failed of.
        seconds: its share of the time that all this took: of encoding by its characters, of each batch by its rows,
            since all are padded to the longest; decoding and postprocessing are its own.
    """

    id: str
    document: Document | None = None
    encoded: EncodedDocument | None = None
    rows: Sequence[Row] = ()
    outputs: Sequence[Arrays] | None = None
    decoded: Document | None = None
    final: Document | None = None
    failure: Exception | None = None
    seconds: float = 0.0


Answer = tuple[Arrays | Exception, float]
"""The model's outputs for a row, or what the row made it fail of, and its share of the batch's seconds."""


_TimedBatch = tuple[list[Arrays | Exception], float]


class Begun(NamedTuple):
    """Documents about which the model is asked.

    Attributes:
        traces: with their rows.
        batches: the places of the rows of each batch, among the rows of all traces that did not fail.
        running: what the model answers to each batch.
    """

    traces: Sequence[Trace]
    batches: Sequence[Sequence[int]]
    running: Results[_TimedBatch]

    def answers(self) -> list[Answer]:
        """The model's answer to each row."""
        found: list[Answer] = [({}, 0.0)] * sum(map(len, self.batches))
        for positions, (answers, share) in zip(self.batches, self.running, strict=True):
            for position, answer in zip(positions, answers, strict=True):
                found[position] = answer, share
        return found

    def close(self) -> None:
        """Give up what the model has not begun with."""
        self.running.close()


class Route:
    """Takes documents through every stage, so that one that fails does not take its neighbours down.

    Args:
        processor: what happens before and after the model.
        backend: runs the model.
        workers: how many batches run at a time, each on its share of the CPU's threads; see `Workers`.
    """

    def __init__(self, processor: Processor, backend: Backend, *, workers: int | None = None) -> None:
        self.processor = processor
        self.backend = backend
        self.workers = Workers(backend, count=workers)
        self._most_tokens = sys.maxsize  # of a batch: fewer once the memory was too small

    def follow(self, traces: Sequence[Trace], *, token_budget: int) -> list[Trace]:
        """Complete traces that have a document, or a failure; their order is kept.

        Args:
            traces: what to predict.
            token_budget: tokens of a batch, padding included; with 1 every row goes alone and has no padding.
        """
        return self.finish(self.begin(traces, token_budget=token_budget))

    def begin(self, traces: Sequence[Trace], *, token_budget: int) -> "Begun":
        """Encode, and ask the model, which works beside what the caller does next; see `follow`."""
        encoded = [_attempt(self._with_rows, trace) for trace in self._encode(traces)]
        rows = [row for trace in encoded if trace.failure is None for row in trace.rows]
        budget = min(token_budget, self._most_tokens)
        batches = list(token_budget_batches([len(row.input_ids) for row in rows], budget))
        running = self.workers.map(self._timed_run, [[rows[position] for position in batch] for batch in batches])
        return Begun(encoded, batches, running)

    def finish(self, begun: "Begun") -> list[Trace]:
        """Wait for the model's answers and complete the traces."""
        try:
            answers = iter(begun.answers())
        finally:
            begun.close()
        answered = [trace if trace.failure is not None else _with_outputs(trace, answers) for trace in begun.traces]
        decoded = [_attempt(self._decode, trace) for trace in answered]
        return [_attempt(self._postprocess, trace) for trace in decoded]

    def _encode(self, traces: Sequence[Trace]) -> list[Trace]:
        """Encode what can be encoded; if one document makes the batch fail, each goes alone."""
        documents = [trace.document for trace in traces if trace.failure is None and trace.document is not None]
        started = perf_counter()
        try:
            encoded = self.processor.encode(documents)
        except Exception:  # noqa: BLE001 - whatever it was, it comes again for the document that caused it
            return [_attempt(self._encode_one, trace) for trace in traces]
        sizes = [1 + len(document.raw_text) + len(document.raw_text_pair or "") for document in documents]
        a_character = (perf_counter() - started) / max(1, sum(sizes))
        made = iter(zip(encoded, sizes, strict=True))
        return [trace if trace.failure else _with_encoded(trace, *next(made), a_character) for trace in traces]

    def _encode_one(self, trace: Trace) -> Trace:
        documents = [] if trace.document is None else [trace.document]
        return trace._replace(encoded=self.processor.encode(documents)[0])

    def _with_rows(self, trace: Trace) -> Trace:
        return trace if trace.encoded is None else trace._replace(rows=self.processor.rows(trace.encoded))

    def _timed_run(self, rows: Sequence[Row]) -> _TimedBatch:
        started = perf_counter()
        answers = self._run(rows)
        return answers, (perf_counter() - started) / len(rows)

    def _run(self, rows: Sequence[Row]) -> list[Arrays | Exception]:
        """Run one batch; if the memory is too small, in halves, and if a row makes it fail, each goes alone."""
        parts = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
        tokens = len(rows) * max(len(row.input_ids) for row in rows)
        if len(rows) == 1 or tokens <= self._most_tokens:
            try:
                batch = self.backend.forward(self.processor.layout.pad(rows))
                return [{name: array[index] for name, array in batch.items()} for index in range(len(rows))]
            except Exception as error:  # noqa: BLE001 - memory, an index, whatever a model or a device may raise
                short = is_out_of_memory(error)
                if len(rows) == 1:
                    return [error.with_traceback(None) if short else error]  # a traceback holds tensors
            if short:
                self._take_at_most(tokens // 2)
            else:
                parts = [[row] for row in rows]
        return [answer for part in parts for answer in self._run(part)]

    def _take_at_most(self, tokens: int) -> None:
        """Batches of so many tokens from now on."""
        self._most_tokens = min(self._most_tokens, tokens)
        warnings.warn(
            f"the memory is too small for a batch of {2 * tokens} tokens; from now on a batch has {tokens} at most",
            RuntimeWarning,
            stacklevel=2,
        )

    def _decode(self, trace: Trace) -> Trace:
        if trace.encoded is None or trace.outputs is None:
            return trace
        return trace._replace(decoded=self.processor.interpret_outputs(trace.encoded, trace.rows, trace.outputs))

    def _postprocess(self, trace: Trace) -> Trace:
        return trace if trace.decoded is None else trace._replace(final=self.processor.postprocess(trace.decoded))


def _with_encoded(trace: Trace, encoded: EncodedDocument, size: int, a_character: float) -> Trace:
    """The trace with its encoded document, and what encoding it took if a character takes so many seconds."""
    return trace._replace(encoded=encoded, seconds=trace.seconds + size * a_character)


def _with_outputs(trace: Trace, answers: Iterator[Answer]) -> Trace:
    """The trace with the next answers, which are those to its rows."""
    outputs: list[Arrays] = []
    failures: list[Exception] = []
    seconds = trace.seconds
    for answer, share in islice(answers, len(trace.rows)):
        seconds += share
        if isinstance(answer, Exception):
            failures.append(answer)
        else:
            outputs.append(answer)
    if failures:
        return trace._replace(failure=failures[0], seconds=seconds)
    return trace._replace(outputs=outputs, seconds=seconds)


def _attempt(step: Callable[[Trace], Trace], trace: Trace) -> Trace:
    """Take one document a step further, or say what it failed of, so that the others go on."""
    if trace.failure is not None:
        return trace
    started = perf_counter()
    try:
        done = step(trace)
        return done._replace(seconds=done.seconds + perf_counter() - started)
    except Exception as error:  # noqa: BLE001 - a document must not take its neighbours down, whatever it breaks
        return trace._replace(failure=error)
