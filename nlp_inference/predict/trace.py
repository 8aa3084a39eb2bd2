"""What became of a document on its route."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

from nlp_inference.document import Document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.tasks import Arrays, DocumentOutputs


class Trace(NamedTuple):
    """What became of one document at each stage; what it did not reach is `None`, and `failure` says why.

    Attributes:
        id: what to call the document, also where it could not be read.
        document: as it arrived.
        encoded: after preprocessing, tokenizing and windowing.
        rows: the model's input row for each window.
        outputs: the model's outputs for each row, without the batch dimension; padding, if there was any, included.
            Where they are not kept, they are `None` again once they are decoded.
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

    @property
    def model_outputs(self) -> DocumentOutputs | None:
        """The outputs to decode; `None` where a stage failed or did not run."""
        if self.failure is not None or self.encoded is None or self.outputs is None:
            return None
        return DocumentOutputs(self.encoded, self.rows, self.outputs)

    def with_answers(self, answers: Iterable["Answer"]) -> Self:
        """The trace with the answers to its rows."""
        if self.failure is not None:
            return self
        outputs: list[Arrays] = []
        failures: list[Exception] = []
        seconds = self.seconds
        for answer, share in answers:
            seconds += share
            if isinstance(answer, Exception):
                failures.append(answer)
            else:
                outputs.append(answer)
        if failures:
            return self._replace(failure=failures[0], seconds=seconds)
        return self._replace(outputs=outputs, seconds=seconds)


Answer = tuple[Arrays | Exception, float]
"""The model's outputs for a row, or what the row made it fail of, and its share of the batch's seconds."""
