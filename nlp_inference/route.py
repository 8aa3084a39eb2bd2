"""The route of documents through processor and model, stage by stage; prediction and verification both go it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from nlp_inference.backends.base import Backend
from nlp_inference.batching import token_budget_batches
from nlp_inference.document import Document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.layout import Row
from nlp_inference.processor import Processor
from nlp_inference.tasks import Arrays


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
    """

    id: str
    document: Document | None = None
    encoded: EncodedDocument | None = None
    rows: Sequence[Row] = ()
    outputs: Sequence[Arrays] | None = None
    decoded: Document | None = None
    final: Document | None = None
    failure: Exception | None = None


class Route:
    """Takes documents through every stage, so that one that fails does not take its neighbours down.

    Args:
        processor: what happens before and after the model.
        backend: runs the model.
    """

    def __init__(self, processor: Processor, backend: Backend) -> None:
        self.processor = processor
        self.backend = backend

    def follow(self, traces: Sequence[Trace], *, token_budget: int) -> list[Trace]:
        """Complete traces that have a document, or a failure; their order is kept.

        Args:
            traces: what to predict.
            token_budget: tokens of a batch, padding included; with 1 every row goes alone and has no padding.
        """
        encoded = [_attempt(self._with_rows, trace) for trace in self._encode(traces)]
        answered = self._ask(encoded, token_budget=token_budget)
        decoded = [_attempt(self._decode, trace) for trace in answered]
        return [_attempt(self._postprocess, trace) for trace in decoded]

    def _encode(self, traces: Sequence[Trace]) -> list[Trace]:
        """Encode what can be encoded; if one document makes the batch fail, each goes alone."""
        documents = [trace.document for trace in traces if trace.failure is None and trace.document is not None]
        try:
            encoded = iter(self.processor.encode(documents))
        except Exception:  # noqa: BLE001 - whatever it was, it comes again for the document that caused it
            return [_attempt(self._encode_one, trace) for trace in traces]
        return [trace if trace.failure is not None else trace._replace(encoded=next(encoded)) for trace in traces]

    def _encode_one(self, trace: Trace) -> Trace:
        documents = [] if trace.document is None else [trace.document]
        return trace._replace(encoded=self.processor.encode(documents)[0])

    def _with_rows(self, trace: Trace) -> Trace:
        return trace if trace.encoded is None else trace._replace(rows=self.processor.rows(trace.encoded))

    def _ask(self, traces: Sequence[Trace], *, token_budget: int) -> list[Trace]:
        """Ask the model about the rows of all documents."""
        rows = [row for trace in traces if trace.failure is None for row in trace.rows]
        answers = iter(self._forward(rows, token_budget=token_budget))
        return [trace if trace.failure is not None else _with_outputs(trace, answers) for trace in traces]

    def _forward(self, rows: Sequence[Row], *, token_budget: int) -> list[Arrays | Exception]:
        """The model's outputs for each row, from batches of rows of like length, or what the row made it fail of."""
        outputs: list[Arrays | Exception] = [{}] * len(rows)
        lengths = [len(row.input_ids) for row in rows]
        for positions in token_budget_batches(lengths, token_budget):
            answers = self._run([rows[position] for position in positions])
            for position, answer in zip(positions, answers, strict=True):
                outputs[position] = answer
        return outputs

    def _run(self, rows: Sequence[Row]) -> list[Arrays | Exception]:
        """Run one batch; if a row makes it fail, each goes alone."""
        try:
            batch = self.backend.forward(self.processor.layout.pad(rows))
            return [{name: array[index] for name, array in batch.items()} for index in range(len(rows))]
        except Exception as error:  # noqa: BLE001 - out of memory, an index, whatever a model or a device may raise
            if len(rows) == 1:
                return [error]
        return [answer for row in rows for answer in self._run([row])]

    def _decode(self, trace: Trace) -> Trace:
        if trace.encoded is None or trace.outputs is None:
            return trace
        return trace._replace(decoded=self.processor.interpret_outputs(trace.encoded, trace.rows, trace.outputs))

    def _postprocess(self, trace: Trace) -> Trace:
        return trace if trace.decoded is None else trace._replace(final=self.processor.postprocess(trace.decoded))


def _with_outputs(trace: Trace, answers: Iterator[Arrays | Exception]) -> Trace:
    """The trace with the next answers, which are those to its rows."""
    outputs: list[Arrays] = []
    failures: list[Exception] = []
    for answer in islice(answers, len(trace.rows)):
        if isinstance(answer, Exception):
            failures.append(answer)
        else:
            outputs.append(answer)
    return trace._replace(failure=failures[0]) if failures else trace._replace(outputs=outputs)


def _attempt(step: Callable[[Trace], Trace], trace: Trace) -> Trace:
    """Take one document a step further, or say what it failed of, so that the others go on."""
    if trace.failure is not None:
        return trace
    try:
        return step(trace)
    except Exception as error:  # noqa: BLE001 - a document must not take its neighbours down, whatever it breaks
        return trace._replace(failure=error)
