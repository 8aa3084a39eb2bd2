"""Predicted documents as JSON."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import AlignedText
from nlp_inference.document.offsets import OffsetMap, OffsetUnit, converted
from nlp_inference.encoding import EncodedDocument
from nlp_inference.predict.trace import Trace
from nlp_inference.serving.failures import RequestError, failure_of

MAX_TOKENS = 20_000
"""The number of tokens that an explanation contains."""


def predicted_document(trace: Trace) -> Document:
    """Return the predicted document of a completed trace.

    Raises:
        RequestError: the document failed.
    """
    if trace.final is None:
        raise failure_of(trace.failure or RuntimeError("no prediction"))
    return trace.final


def output_or_failure(
    trace: Trace, document: Document, *, offsets: OffsetUnit = "codepoint", explain: bool = False
) -> dict[str, Any]:
    """Return a `DocumentOutput` as JSON, or a `FailedOutput` if the document failed; see `document_output`."""
    try:
        return document_output(trace, document, offsets=offsets, explain=explain)
    except RequestError as failure:
        return failed_output(failure, document)


def document_output(
    trace: Trace, document: Document, *, offsets: OffsetUnit = "codepoint", explain: bool = False
) -> dict[str, Any]:
    """Return a `DocumentOutput` as JSON.

    Args:
        trace: the completed trace of the text.
        document: the document of the request.
        offsets: the unit of offsets.
        explain: whether to add what happened to the text.

    Raises:
        RequestError: the document failed.
    """
    final = predicted_document(trace)
    if final.predicted is None or final.coverage is None:
        raise failure_of(RuntimeError("no prediction"))
    fields: dict[str, Any] = {
        "predicted": final.predicted.model_dump(mode="json"),
        "coverage": final.coverage.model_dump(mode="json", exclude_defaults=True),
    }
    if explain:
        fields |= final.model_dump(mode="json", include={"edits", "edits_pair"})
    if offsets != "codepoint":
        raw = {"raw_text": final.raw_text, "raw_text_pair": final.raw_text_pair}
        fields = converted({**raw, **fields}, offsets)
    output: dict[str, Any] = {
        "id": document.id,
        "predicted": fields["predicted"],
        "complete": final.coverage.complete,
        "coverage": fields["coverage"],
    }
    if document.metadata:
        output["metadata"] = document.metadata
    if offsets != "codepoint":
        output["offsets"] = offsets
    if explain and trace.encoded is not None:
        edits = {name: fields[name] for name in ("edits", "edits_pair")}
        output["explanation"] = {**_explanation(trace.encoded, offsets), **edits}
    return output


def _explanation(encoded: EncodedDocument, unit: OffsetUnit) -> dict[str, Any]:
    """Return the fields of an `Explanation` that the encoded document has."""
    document = encoded.document
    windows = [
        {name: getattr(window, name) for name in ("start", "end", "owned_start", "owned_end")}
        for window in encoded.windows
    ]
    pair_tokens = []
    if encoded.pair_offsets is not None:
        pair_tokens = _tokens(document.aligned_pair, encoded.pair_offsets, unit)
    return {
        "text": document.text,
        "text_pair": document.text_pair,
        "tokens": _tokens(document.aligned, encoded.offsets, unit),
        "all_tokens": len(encoded.token_ids),
        "tokens_pair": pair_tokens,
        "windows": windows,
    }


def _tokens(aligned: AlignedText, offsets: NDArray[np.int64], unit: OffsetUnit) -> list[dict[str, Any]]:
    """Return the first tokens of a text as JSON, each a `Token`."""
    shown = offsets[:MAX_TOKENS].tolist()
    raw, current = OffsetMap(aligned.raw, unit), OffsetMap(aligned.current, unit)
    ranges = [aligned.to_raw(start, end) for start, end in shown]
    columns = (
        raw.to_unit([start for start, _ in ranges]),
        raw.to_unit([end for _, end in ranges]),
        current.to_unit([start for start, _ in shown]),
        current.to_unit([end for _, end in shown]),
    )
    names = ("start", "end", "text_start", "text_end")
    return [
        {"text": aligned.current[start:end], **dict(zip(names, edges, strict=True))}
        for (start, end), edges in zip(shown, zip(*columns, strict=True), strict=True)
    ]


def failed_output(failure: RequestError, document: Document) -> dict[str, Any]:
    """Return a `FailedOutput` as JSON."""
    return {"id": document.id, "error": failure.message, "error_type": failure.kind}
