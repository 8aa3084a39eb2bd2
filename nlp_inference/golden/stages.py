"""Conversion of the trace of a document to a golden record, for recording and for verification."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document import Annotation
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.golden.outputs import full_output
from nlp_inference.golden.schema import (
    Edits,
    Failed,
    Final,
    GoldenRecord,
    Integers,
    Origin,
    Stage,
    Tokens,
    WindowRow,
)
from nlp_inference.predict.trace import Trace
from nlp_inference.processor import Processor

_HEAD = 64
"""Number of leading values of an integer array that are recorded in addition to its digest."""


def golden_record(trace: Trace, *, processor: Processor, origin: Origin) -> GoldenRecord:
    """Return the golden record of a traced document, with every value of the model outputs."""
    if trace.document is None:
        raise trace.failure or InvalidDocumentError(f"document {trace.id!r} was not read")
    stages: dict[str, Any] = {}
    if trace.encoded is not None:
        stages |= _encoded(trace.encoded, trace.rows)
    if trace.outputs is not None:
        stages["logits"] = tuple(
            {name: full_output(array) for name, array in sorted(window.items())} for window in trace.outputs
        )
    if trace.decoded is not None:
        stages["decoded"] = trace.decoded.predicted or Annotation()
    if trace.final is not None:
        final = trace.final
        stages["final"] = Final.of(final)
    if trace.failure is not None:
        failed_in = _failed_in(trace, stages, processor)
        stages["failed"] = Failed(stage=failed_in, error=type(trace.failure).__name__)
    document = trace.document
    return GoldenRecord(
        id=trace.id,
        origin=origin,
        raw_text=document.raw_text,
        raw_text_pair=document.raw_text_pair,
        given=processor.task.as_input(document).predicted,
        **stages,
    )


def _failed_in(trace: Trace, stages: dict[str, Any], processor: Processor) -> Stage:
    """Return the stage at which a document failed; add the edits to `stages` if it could be preprocessed."""
    if trace.encoded is not None:
        return "logits" if trace.outputs is None else "decoded" if trace.decoded is None else "final"
    if trace.document is None:
        return "edits"
    try:
        clean = processor.preprocess(trace.document.as_it_arrived())
    except Exception:  # noqa: BLE001 - the trace failed with the same error
        return "edits"
    stages["edits"] = Edits(text=clean.edits, pair=clean.edits_pair)
    return "windows" if isinstance(trace.failure, InvalidDocumentError) else "ids"


def _encoded(encoded: EncodedDocument, rows: Sequence[Row]) -> dict[str, Any]:
    document, pair_ids, pair_offsets = encoded.document, encoded.pair_ids, encoded.pair_offsets
    return {
        "edits": Edits(text=document.edits, pair=document.edits_pair),
        "ids": Tokens(
            ids=tuple(encoded.token_ids.tolist()),
            pair_ids=None if pair_ids is None else tuple(pair_ids.tolist()),
            places=_integers(encoded.offsets),
            word_starts=_integers(encoded.word_starts),
            pair_places=None if pair_offsets is None else _integers(pair_offsets),
        ),
        "windows": tuple(
            WindowRow(
                **window._asdict(),
                before=tuple(row.input_ids[: row.content.start].tolist()),
                after=tuple(row.input_ids[row.content.stop :].tolist()),
                token_type_ids=_integers(row.token_type_ids),
            )
            for window, row in zip(encoded.windows, rows, strict=True)
        ),
    }


def _integers(array: NDArray[np.int64]) -> Integers:
    values = np.ascontiguousarray(array, dtype="<i8")
    head = tuple(values.ravel()[:_HEAD].tolist())
    return Integers(shape=values.shape, digest=sha256(values.tobytes()).hexdigest(), head=head)
