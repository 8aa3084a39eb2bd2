"""The stages of documents through processor and model, which prediction and verification share."""

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
from nlp_inference.encoding.input_rows import Row
from nlp_inference.predict.batching import length_waves, token_budget_batches
from nlp_inference.predict.trace import RowResult, Trace
from nlp_inference.predict.workers import Results, Workers
from nlp_inference.processor import Processor
from nlp_inference.tasks import Arrays

T = TypeVar("T")


TimedBatch = tuple[list[Arrays | Exception], float]
"""The outputs or the error of each row of a batch, and the seconds of each row's share."""


RowIndex = tuple[int, int]
"""The index of a row's trace among the traces, and the index of the row in that trace."""


_DECODED_TOGETHER = 32
"""The number of documents to decode together, large enough that the overhead of numpy calls is small."""


class Begun(NamedTuple):
    """Documents on which the model runs.

    Attributes:
        traces: the traces with their rows.
        batches: the indices of the rows in each batch.
        running: the outputs of the batches, in consecutive parts.
        keep_outputs: whether the traces keep the outputs after decoding.
    """

    traces: list[Trace]
    batches: list[list[RowIndex]]
    running: list[Results[TimedBatch]]
    keep_outputs: bool

    def completed(self) -> Iterator[dict[int, list[RowResult]]]:
        """Yield the traces that each batch completes, by index, with the results of their rows; those without first."""
        found: list[dict[int, RowResult]] = [{} for _ in self.traces]
        yield {index: [] for index, trace in enumerate(self.traces) if not trace.rows}
        for batch, (results, share) in zip(self.batches, chain.from_iterable(self.running), strict=True):
            complete: dict[int, list[RowResult]] = {}
            for (index, row), result in zip(batch, results, strict=True):
                found[index][row] = result, share
                if len(found[index]) == len(self.traces[index].rows):
                    complete[index] = [found[index][row] for row in sorted(found[index])]
                    found[index] = {}
            yield complete

    def close(self) -> None:
        """Cancel the batches that have not started."""
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
    """The stages of prediction. An error in one document does not affect the others.

    Args:
        processor: the processor of the model.
        backend: the backend that runs the model.
        workers: how many batches run at the same time, each with its share of the CPU threads; see `Workers`.
    """

    def __init__(self, processor: Processor, backend: Backend, *, workers: int | None = None) -> None:
        self.processor = processor
        self.backend = backend
        self.workers = Workers(backend, count=workers)
        self._max_tokens = sys.maxsize  # of a batch; decreases when a batch runs out of memory

    def follow(self, traces: Sequence[Trace], *, token_budget: int) -> list[Trace]:
        """Complete traces that have a document or a failure, in order.

        Args:
            traces: the traces to complete.
            token_budget: tokens of a batch, padding included; with 1, every row runs alone and has no padding.
        """
        return self.finish(self.begin(traces, token_budget=token_budget, keep_outputs=True))

    def run_model(self, traces: Sequence[Trace], *, token_budget: int) -> list[Trace]:
        """Encode documents and run the model on them, without decoding; see `follow`."""
        begun = self.begin(traces, token_budget=token_budget, keep_outputs=True)
        done = list(begun.traces)
        try:
            for complete in begun.completed():
                for index, results in complete.items():
                    done[index] = begun.traces[index].with_results(results)
        finally:
            begun.close()
        return done

    def begin(self, traces: Sequence[Trace], *, token_budget: int, keep_outputs: bool = False) -> "Begun":
        """Encode documents and start the model, which runs in the background; see `follow`.

        Many documents are encoded in waves of similar length, the longest first. The model starts with the first wave
        while the next one is encoded. An incomplete batch at the end of a wave is merged into the next wave.

        Args:
            traces: the traces to predict.
            token_budget: tokens of a batch, padding included.
            keep_outputs: whether the traces keep all model outputs, which uses memory.
        """
        check_fork()
        begun = Begun(list(traces), [], [], keep_outputs)
        run = partial(self.run, condense=not keep_outputs)
        sizes = [0 if trace.document is None else _characters(trace.document) for trace in traces]
        waves, left = length_waves(sizes, token_budget=token_budget), list[RowIndex]()
        try:
            for number, wave in enumerate(waves, 1):
                for index, trace in zip(wave, self.encode([traces[index] for index in wave]), strict=True):
                    begun.traces[index] = trace
                    left += [(index, row) for row in range(len(begun.traces[index].rows))]
                batches = self._batches(left, begun.traces, min(token_budget, self._max_tokens))
                left = batches.pop() if batches and number < len(waves) else []
                rows = [[begun.traces[index].rows[row] for index, row in batch] for batch in batches]
                begun.running.append(self.workers.map(run, rows, alone=len(waves) == 1))
                begun.batches.extend(batches)
        except BaseException:
            begun.close()
            raise
        return begun

    def finish(self, begun: "Begun") -> list[Trace]:
        """Wait for the model outputs and complete the traces; traces are decoded while the model runs on others."""
        done = list(begun.traces)
        waiting: dict[int, Trace] = {}
        try:
            for complete in begun.completed():
                waiting |= {index: begun.traces[index].with_results(results) for index, results in complete.items()}
                if len(waiting) >= _DECODED_TOGETHER:
                    self._finish_together(waiting, done, keep_outputs=begun.keep_outputs)
                    waiting = {}
            self._finish_together(waiting, done, keep_outputs=begun.keep_outputs)
        finally:
            begun.close()
        return done

    def _finish_together(self, waiting: Mapping[int, Trace], done: list[Trace], *, keep_outputs: bool) -> None:
        """Complete some traces, and put them into `done` by their indices."""
        for index, trace in zip(waiting, self.complete(list(waiting.values()), keep_outputs=keep_outputs), strict=True):
            done[index] = trace

    def encode(self, traces: Sequence[Trace]) -> list[Trace]:
        """Preprocess, tokenize and window the documents of the traces together, and add their input rows.

        If one of them fails, each is encoded alone.
        """
        documents = [trace.document for trace in traces if trace.failure is None and trace.document is not None]
        started = perf_counter()
        try:
            with native_code():
                encoded = self.processor.encode(documents)
            rows = [self.processor.rows(one) for one in encoded]
        except Exception:  # noqa: BLE001 - the document that caused it fails again, alone
            return [self._encode_one(trace) for trace in traces]
        sizes = [1 + _characters(document) for document in documents]
        per_character = (perf_counter() - started) / max(1, sum(sizes))
        made = iter(zip(encoded, rows, [size * per_character for size in sizes], strict=True))
        return [trace if trace.failure else trace.with_encoded(*next(made)) for trace in traces]

    def run(self, rows: Sequence[Row], *, condense: bool = True) -> TimedBatch:
        """Run the model on one batch, in the calling thread.

        Args:
            rows: the rows of a batch, of any documents.
            condense: whether to reduce the outputs of each row to what decoding needs; see `Processor.condense`.

        Returns:
            The outputs or the error of each row, and the seconds of each row's share.
        """
        started = perf_counter()
        results = self._run(rows)
        if condense:
            results = [self._condense(row, result) for row, result in zip(rows, results, strict=True)]
        return results, (perf_counter() - started) / len(rows)

    def complete(self, traces: Sequence[Trace], *, keep_outputs: bool = False) -> list[Trace]:
        """Decode and postprocess traces that have the outputs of all their rows; if one of them fails, each alone."""
        outputs = [trace.model_outputs for trace in traces]
        started = perf_counter()
        try:
            decoded = self.processor.interpret_outputs([one for one in outputs if one is not None])
            final = [self.processor.postprocess(one) for one in decoded]
        except Exception:  # noqa: BLE001 - the document that caused it fails again, alone
            done = [self._postprocess_one(self._decode_one(trace)) for trace in traces]
            return done if keep_outputs else [trace._replace(outputs=None) for trace in done]
        share = (perf_counter() - started) / max(1, len(decoded))
        made = iter(zip(decoded, final, strict=True))
        return [
            trace if one is None else trace.with_prediction(*next(made), seconds=share, keep_outputs=keep_outputs)
            for trace, one in zip(traces, outputs, strict=True)
        ]

    def _batches(self, rows: Sequence[RowIndex], traces: Sequence[Trace], budget: int) -> list[list[RowIndex]]:
        lengths = [self.processor.task.row_tokens(traces[index].rows[row]) for index, row in rows]
        return [[rows[position] for position in batch] for batch in token_budget_batches(lengths, budget)]

    @_of_one_document
    def _encode_one(self, trace: Trace) -> Trace:
        documents = [] if trace.document is None else [trace.document]
        with native_code():
            [encoded] = self.processor.encode(documents)
        return trace.with_encoded(encoded, self.processor.rows(encoded))

    def _condense(self, row: Row, result: Arrays | Exception) -> Arrays | Exception:
        try:
            return result if isinstance(result, Exception) else self.processor.condense(row, result)
        except Exception as error:  # noqa: BLE001 - it is the failure of this row's document
            return error

    def _run(self, rows: Sequence[Row]) -> list[Arrays | Exception]:
        """Run one batch; out of memory, run it in halves; on any other error, run each row alone."""
        parts = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
        tokens = len(rows) * max(self.processor.task.row_tokens(row) for row in rows)
        if len(rows) == 1 or tokens <= self._max_tokens:
            try:
                with native_code():
                    batch = self.backend.forward(self.processor.collate(rows))
                return [{name: array[index] for name, array in batch.items()} for index in range(len(rows))]
            except Exception as error:  # noqa: BLE001 - a model or a device may raise anything
                short = is_out_of_memory(error)
                if len(rows) == 1:
                    return [error.with_traceback(None) if short else error]  # a traceback references tensors
            if short:
                self._limit_batches(tokens // 2)
            else:
                parts = [[row] for row in rows]
        return [result for part in parts for result in self._run(part)]

    def _limit_batches(self, tokens: int) -> None:
        """Limit later batches to `tokens` tokens."""
        self._max_tokens = min(self._max_tokens, tokens)
        warnings.warn(
            f"out of memory with a batch of {2 * tokens} tokens; later batches have at most {tokens}",
            RuntimeWarning,
            stacklevel=2,
        )

    @_of_one_document
    def _decode_one(self, trace: Trace) -> Trace:
        outputs = trace.model_outputs
        return trace if outputs is None else trace._replace(decoded=self.processor.interpret_outputs([outputs])[0])

    @_of_one_document
    def _postprocess_one(self, trace: Trace) -> Trace:
        return trace if trace.decoded is None else trace._replace(final=self.processor.postprocess(trace.decoded))


def one_ahead(chunks: Iterable[tuple[T, Begun]]) -> Iterator[tuple[T, Begun]]:
    """Yield each chunk after the next one has started, so that the model runs during encoding and decoding.

    If `chunks` raises an error, started chunks are yielded first; if the caller stops early, they are canceled.
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
        for _, canceled in begun:
            canceled.close()


def _characters(document: Document) -> int:
    return len(document.raw_text) + len(document.raw_text_pair or "")
