"""The route of documents through processor and model, stage by stage; prediction and verification both go it."""

import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial, wraps
from itertools import chain
from time import perf_counter
from typing import NamedTuple, TypeVar

from nlp_inference._utils.foreign_errors import is_out_of_memory
from nlp_inference._utils.forks import check_fork, native_code
from nlp_inference.backends.base import Backend
from nlp_inference.document import Document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.predict.batching import length_waves, token_budget_batches
from nlp_inference.predict.trace import Answer, Trace
from nlp_inference.predict.workers import Results, Workers
from nlp_inference.processor import Processor
from nlp_inference.tasks import Arrays

T = TypeVar("T")


_TimedBatch = tuple[list[Arrays | Exception], float]


Place = tuple[int, int]
"""Of a row: the place of its trace among the traces, and its number among the rows of that trace."""


_DECODED_TOGETHER = 32
"""Documents: arrays of so many are long enough that numpy spends its time on their numbers, and not on its calls."""


class Begun(NamedTuple):
    """Documents about which the model is asked.

    Attributes:
        traces: with their rows.
        batches: the places of the rows of each batch.
        running: what the model answers to each batch, in parts that follow each other.
        keep_outputs: whether it stays in the traces once it is decoded.
    """

    traces: list[Trace]
    batches: list[list[Place]]
    running: list[Results[_TimedBatch]]
    keep_outputs: bool

    def answered(self) -> Iterator[dict[int, list[Answer]]]:
        """The places of the traces that a batch completes, and the answers to their rows; first those without rows."""
        found: list[dict[int, Answer]] = [{} for _ in self.traces]
        yield {place: [] for place, trace in enumerate(self.traces) if not trace.rows}
        for places, (answers, share) in zip(self.batches, chain.from_iterable(self.running), strict=True):
            complete: dict[int, list[Answer]] = {}
            for (place, number), answer in zip(places, answers, strict=True):
                found[place][number] = answer, share
                if len(found[place]) == len(self.traces[place].rows):
                    complete[place] = [found[place][number] for number in sorted(found[place])]
                    found[place] = {}
            yield complete

    def close(self) -> None:
        """Give up what the model has not begun with."""
        for part in self.running:
            part.close()


def _of_one_document(stage: Callable[["Route", Trace], Trace]) -> Callable[["Route", Trace], Trace]:
    """Record what a stage raises as the failure of its document, so that other documents continue."""

    @wraps(stage)
    def recorded(route: "Route", trace: Trace) -> Trace:
        if trace.failure is not None:
            return trace
        started = perf_counter()
        try:
            done = stage(route, trace)
            return done._replace(seconds=done.seconds + perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - a document must not affect its neighbors, whatever it raises
            return trace._replace(failure=error)

    return recorded


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
        return self.finish(self.begin(traces, token_budget=token_budget, keep_outputs=True))

    def run_model(self, traces: Sequence[Trace], *, token_budget: int) -> list[Trace]:
        """Encode documents and run the model on them, without decoding; see `follow`."""
        begun = self.begin(traces, token_budget=token_budget, keep_outputs=True)
        done = list(begun.traces)
        try:
            for complete in begun.answered():
                for place, answers in complete.items():
                    done[place] = begun.traces[place].with_answers(answers)
        finally:
            begun.close()
        return done

    def begin(self, traces: Sequence[Trace], *, token_budget: int, keep_outputs: bool = False) -> "Begun":
        """Encode, and ask the model, which works beside what the caller does next; see `follow`.

        Many documents are encoded in waves of like length, the longest first, and the model begins with the first wave
        while the next is encoded. What fills no batch at the end of a wave shares one with the next.

        Args:
            traces: what to predict.
            token_budget: tokens of a batch, padding included.
            keep_outputs: whether all that the model answers stays in the traces, which takes memory.
        """
        check_fork()
        begun = Begun(list(traces), [], [], keep_outputs)
        run = partial(self._timed_run, whole=keep_outputs)
        sizes = [0 if trace.document is None else _characters(trace.document) for trace in traces]
        waves, left = length_waves(sizes, token_budget=token_budget), list[Place]()
        try:
            for number, wave in enumerate(waves, 1):
                for place, trace in zip(wave, self._encode([traces[place] for place in wave]), strict=True):
                    begun.traces[place] = self._add_rows(trace)
                    left += [(place, row) for row in range(len(begun.traces[place].rows))]
                batches = self._batches(left, begun.traces, min(token_budget, self._most_tokens))
                left = batches.pop() if batches and number < len(waves) else []
                rows = [[begun.traces[place].rows[row] for place, row in batch] for batch in batches]
                begun.running.append(self.workers.map(run, rows, alone=len(waves) == 1))
                begun.batches.extend(batches)
        except BaseException:
            begun.close()
            raise
        return begun

    def finish(self, begun: "Begun") -> list[Trace]:
        """Wait for the model's answers and complete the traces, some while it works on others."""
        done = list(begun.traces)
        waiting: dict[int, Trace] = {}
        try:
            for complete in begun.answered():
                waiting |= {place: begun.traces[place].with_answers(answers) for place, answers in complete.items()}
                if len(waiting) >= _DECODED_TOGETHER:
                    self._finish_together(waiting, done, keep_outputs=begun.keep_outputs)
                    waiting = {}
            self._finish_together(waiting, done, keep_outputs=begun.keep_outputs)
        finally:
            begun.close()
        return done

    def _finish_together(self, answered: Mapping[int, Trace], done: list[Trace], *, keep_outputs: bool) -> None:
        """Complete some traces, and put them at their places."""
        for place, trace in zip(answered, self._decode(list(answered.values())), strict=True):
            kept = trace if keep_outputs else trace._replace(outputs=None)
            done[place] = self._postprocess(kept)

    @staticmethod
    def _batches(places: Sequence[Place], traces: Sequence[Trace], budget: int) -> list[list[Place]]:
        lengths = [len(traces[place].rows[row].input_ids) for place, row in places]
        return [[places[position] for position in batch] for batch in token_budget_batches(lengths, budget)]

    def _encode(self, traces: Sequence[Trace]) -> list[Trace]:
        """Encode what can be encoded; if one document makes the batch fail, each goes alone."""
        documents = [trace.document for trace in traces if trace.failure is None and trace.document is not None]
        started = perf_counter()
        try:
            with native_code():
                encoded = self.processor.encode(documents)
        except Exception:  # noqa: BLE001 - whatever it was, it comes again for the document that caused it
            return [self._encode_one(trace) for trace in traces]
        sizes = [1 + _characters(document) for document in documents]
        a_character = (perf_counter() - started) / max(1, sum(sizes))
        made = iter(zip(encoded, sizes, strict=True))
        return [trace if trace.failure else _with_encoded(trace, *next(made), a_character) for trace in traces]

    @_of_one_document
    def _encode_one(self, trace: Trace) -> Trace:
        documents = [] if trace.document is None else [trace.document]
        with native_code():
            return trace._replace(encoded=self.processor.encode(documents)[0])

    @_of_one_document
    def _add_rows(self, trace: Trace) -> Trace:
        return trace if trace.encoded is None else trace._replace(rows=self.processor.rows(trace.encoded))

    def _timed_run(self, rows: Sequence[Row], *, whole: bool) -> _TimedBatch:
        started = perf_counter()
        answers = self._run(rows)
        if not whole:
            answers = [self._condense(row, answer) for row, answer in zip(rows, answers, strict=True)]
        return answers, (perf_counter() - started) / len(rows)

    def _condense(self, row: Row, answer: Arrays | Exception) -> Arrays | Exception:
        try:
            return answer if isinstance(answer, Exception) else self.processor.condense(row, answer)
        except Exception as error:  # noqa: BLE001 - it is the failure of this row's document
            return error

    def _run(self, rows: Sequence[Row]) -> list[Arrays | Exception]:
        """Run one batch; if the memory is too small, in halves, and if a row makes it fail, each goes alone."""
        parts = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
        tokens = len(rows) * max(len(row.input_ids) for row in rows)
        if len(rows) == 1 or tokens <= self._most_tokens:
            try:
                with native_code():
                    batch = self.backend.forward(self.processor.collate(rows))
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

    def _decode(self, traces: Sequence[Trace]) -> list[Trace]:
        """Decode documents together; if one of them fails, decode each alone."""
        outputs = [one for trace in traces if (one := trace.model_outputs) is not None]
        started = perf_counter()
        try:
            documents = iter(self.processor.interpret_outputs(outputs))
        except Exception:  # noqa: BLE001 - the document that caused it fails again, alone
            return [self._decode_one(trace) for trace in traces]
        share = (perf_counter() - started) / max(1, len(outputs))
        return [
            trace._replace(decoded=next(documents), seconds=trace.seconds + share) if trace.model_outputs else trace
            for trace in traces
        ]

    @_of_one_document
    def _decode_one(self, trace: Trace) -> Trace:
        outputs = trace.model_outputs
        return trace if outputs is None else trace._replace(decoded=self.processor.interpret_outputs([outputs])[0])

    @_of_one_document
    def _postprocess(self, trace: Trace) -> Trace:
        return trace if trace.decoded is None else trace._replace(final=self.processor.postprocess(trace.decoded))


def one_ahead(chunks: Iterable[tuple[T, Begun]]) -> Iterator[tuple[T, Begun]]:
    """Each chunk when the next one has begun, so that the model has work while texts are encoded and answers decoded.

    If the source fails, what has begun comes first; if nobody wants more, what has begun is given up.
    """
    begun: deque[tuple[T, Begun]] = deque()
    try:
        for chunk in chunks:
            begun.append(chunk)
            if len(begun) > 1:
                yield begun.popleft()
    except Exception:
        while begun:
            yield begun.popleft()
        raise
    else:
        while begun:
            yield begun.popleft()
    finally:
        for _, given_up in begun:
            given_up.close()


def _with_encoded(trace: Trace, encoded: EncodedDocument, size: int, a_character: float) -> Trace:
    """The trace with its encoded document, and what encoding it took if a character takes so many seconds."""
    return trace._replace(encoded=encoded, seconds=trace.seconds + size * a_character)


def _characters(document: Document) -> int:
    return len(document.raw_text) + len(document.raw_text_pair or "")
