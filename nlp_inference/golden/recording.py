"""Recording: which documents, and what the route makes of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from pydantic import ValidationError

from nlp_inference.backends.descriptors import REFERENCE
from nlp_inference.document import Document
from nlp_inference.errors import ArtefactError
from nlp_inference.golden.hostile import hostile_documents
from nlp_inference.golden.outputs import Allowance
from nlp_inference.golden.schema import FORMAT_VERSION, MAX_RECORDS, MIN_RECORDS, GoldenFile, GoldenRecord, Origin
from nlp_inference.golden.stages import golden_record
from nlp_inference.predict.predictor import Predictor
from nlp_inference.processor import Processor
from nlp_inference.registry import explain

MAX_SAMPLED_CHARACTERS = 60_000
"""Characters of validation texts that are recorded at most, so that `golden.json` stays small."""

_STAGES_OF_MODEL = ("logits", "decoded")
"""Stages at which a failure is the model's."""


def select_documents(
    validation: Sequence[Document],
    processor: Processor,
    *,
    records: int = 32,
    seed: int = 0,
    own: Iterable[Document] = (),
) -> dict[Origin, list[Document]]:
    """Choose the documents to record: a sample of the validation documents, the user's own, and the hostile ones.

    Args:
        validation: to draw from. Their texts will be published with the model.
        processor: whose windows the longest hostile text is made for.
        records: how many validation documents to draw; 0 draws none.
        seed: of the sample.
        own: texts that the user chose.

    Returns:
        Documents as they arrived, without gold and metadata, by where they come from; each has an id of its own.
    """
    drawn: list[Document] = []
    characters = 0
    for document in Random(seed).sample(validation, len(validation)) if records else ():  # noqa: S311 - a sample
        characters += _length(document)
        if characters > MAX_SAMPLED_CHARACTERS:
            characters -= _length(document)
            continue
        drawn.append(document)
        if len(drawn) == records:
            break
    chosen: dict[Origin, list[Document]] = {"validation": drawn, "file": list(own)}
    pairs = any(document.raw_text_pair is not None for documents in chosen.values() for document in documents)
    named: dict[Origin, list[Document]] = {
        origin: [_as_it_arrived(document, f"{origin}: {number}") for number, document in enumerate(documents)]
        for origin, documents in chosen.items()
    }
    return {**named, "hostile": hostile_documents(processor, pairs=pairs)}


def _length(document: Document) -> int:
    return len(document.raw_text) + len(document.raw_text_pair or "")


def _as_it_arrived(document: Document, name: str) -> Document:
    """Nothing but the texts; an id or metadata may be as private as it likes."""
    return Document(id=name, raw_text=document.raw_text, raw_text_pair=document.raw_text_pair)


def record_golden(predictor: Predictor, documents: Mapping[Origin, Sequence[Document]]) -> GoldenFile:
    """Record every stage of the route of `documents`, by where they come from.

    A document that fails before the model runs is recorded as failing: it must fail there as well. A failure of the
    model itself is never recorded.

    Raises:
        ArtefactError: there are too many documents, none, or two of one id; or the model fails on one of them.
    """
    count = sum(map(len, documents.values()))
    if count > MAX_RECORDS:
        raise ArtefactError(
            f"{count} documents are too many golden records, {MAX_RECORDS} are read at most; record fewer: see "
            "golden.file and golden.records in the configuration"
        )
    allowance = Allowance()
    records = tuple(
        allowance.spent_on(record)
        for origin, of_origin in documents.items()
        for record in _trace_records(predictor, of_origin, origin)
    )
    backend, dtype = predictor.backend.name, predictor.backend.dtype
    try:
        return GoldenFile(format_version=FORMAT_VERSION, backend=backend, dtype=dtype, records=records)
    except ValidationError as error:
        raise ArtefactError(f"these cannot be golden records: {explain(error, GoldenFile)}") from error


def _trace_records(predictor: Predictor, documents: Sequence[Document], origin: Origin) -> Iterator[GoldenRecord]:
    """Each document's stages, one document at a time, so that no more than one document's logits are in memory."""
    for document in documents:
        [trace] = predictor.trace([document])
        record = golden_record(trace, processor=predictor.processor, origin=origin)
        if trace.failure is not None and _is_fault_of_model(trace.failure, record):
            raise ArtefactError(
                f"the model fails on the golden text {record.id!r}, {record.raw_text[:80]!r}: "
                f"{type(trace.failure).__name__}: {trace.failure}; this is no failure of the text, and is not "
                "recorded. Check that tokenizer, windows.max_length and model belong together"
            ) from trace.failure
        yield record


def _is_fault_of_model(failure: Exception, record: GoldenRecord) -> bool:
    """Whether a document failed because of the model, not because of its text or a transform that refuses it."""
    stage = None if record.failed is None else record.failed.stage
    return stage in _STAGES_OF_MODEL or isinstance(failure, IndexError)


def record_artefact(
    folder: str | Path,
    documents: Mapping[Origin, Sequence[Document]] | None = None,
    *,
    dtype: str = "float32",
    trust_remote_code: bool = False,
) -> GoldenFile:
    """Write the `golden.json` of a saved model: what it predicts here and now is what it has to predict everywhere.

    Args:
        folder: the artefact.
        documents: to record, by where they come from, 32 or more; `None` takes the hostile ones.
        dtype: the precision to record in: that in which it was evaluated.
        trust_remote_code: whether code that was saved with the model may run.

    Raises:
        ArtefactError: the artefact cannot be loaded, there are too few or too many documents, or one of the user's
            cannot be predicted.
    """
    count = MIN_RECORDS if documents is None else sum(map(len, documents.values()))
    if count < MIN_RECORDS:
        raise ArtefactError(
            f"{count} golden records are too few to verify a model with, at least {MIN_RECORDS} are needed; take those "
            "of nlp_inference.golden.select_documents(validation, processor, own=...), which adds the hostile ones"
        )
    predictor = Predictor.from_pretrained(folder, backend=REFERENCE, dtype=dtype, trust_remote_code=trust_remote_code)
    golden = record_golden(predictor, documents or select_documents([], predictor.processor))
    broken = next((record for record in golden.records if record.failed and record.origin != "hostile"), None)
    if broken is not None and broken.failed is not None:
        raise ArtefactError(
            f"the golden record {broken.id!r} cannot be predicted: {broken.failed.error} at the stage "
            f"{broken.failed.stage!r}; predict its text to see why: {broken.raw_text[:80]!r}"
        )
    golden.write(folder)
    return golden
