"""The stages of the prediction of a document."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

from nlp_inference.document import Document
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.tasks import Arrays, DocumentOutputs


class Trace(NamedTuple):
    """The result of each stage for one document; stages that it did not reach are `None`.

    Attributes:
        id: the name of the document, even if it could not be read.
        document: the document as it arrived.
        encoded: the document after preprocessing, tokenizing and windowing.
        rows: the model's input row for each window.
        outputs: the model's outputs for each row, without the batch dimension, padding included. If they are not kept,
            they are `None` again after decoding.
        decoded: the document with its prediction, before postprocessing.
        final: the document that `Predictor.predict` returns.
        failure: the error, if a stage failed.
        seconds: its share of the total time: of encoding by its characters, of each batch by its rows, because all rows
            are padded to the longest; of decoding and postprocessing by the number of documents.
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

    def with_encoded(self, encoded: EncodedDocument, rows: Sequence[Row], seconds: float = 0.0) -> Self:
        """Return the trace with its encoded document and its input rows."""
        return self._replace(encoded=encoded, rows=rows, seconds=self.seconds + seconds)

    def with_results(self, results: Iterable["RowResult"]) -> Self:
        """Return the trace with the results of its rows."""
        if self.failure is not None:
            return self
        outputs: list[Arrays] = []
        failures: list[Exception] = []
        seconds = self.seconds
        for result, share in results:
            seconds += share
            if isinstance(result, Exception):
                failures.append(result)
            else:
                outputs.append(result)
        if failures:
            return self._replace(failure=failures[0], seconds=seconds)
        return self._replace(outputs=outputs, seconds=seconds)

    def with_prediction(self, decoded: Document, final: Document, *, seconds: float, keep_outputs: bool) -> Self:
        """Return the trace with its prediction, before and after postprocessing."""
        outputs = self.outputs if keep_outputs else None
        return self._replace(decoded=decoded, final=final, outputs=outputs, seconds=self.seconds + seconds)


RowResult = tuple[Arrays | Exception, float]
"""The model's outputs or the error for a row, and its share of the batch's seconds."""
