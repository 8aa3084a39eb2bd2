"""Recording of golden records: the choice of documents, and the outputs of every stage for them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from pydantic import ValidationError

from nlp_inference.backends.descriptors import REFERENCE
from nlp_inference.document import Document
from nlp_inference.errors import ArtefactError
from nlp_inference.golden.hostile import hostile_documents
from nlp_inference.golden.outputs import NumberBudget
from nlp_inference.golden.schema import FORMAT_VERSION, MAX_RECORDS, MIN_RECORDS, GoldenFile, GoldenRecord, Origin
from nlp_inference.golden.stages import golden_record
from nlp_inference.predict.predictor import Predictor
from nlp_inference.processor import Processor
from nlp_inference.registry import explain

MAX_SAMPLED_CHARACTERS = 60_000
"""Greatest number of characters of the recorded validation texts, which limits the size of `golden.json`."""

_MODEL_STAGES = ("logits", "decoded")
"""Stages at which a failure is an error of the model."""


def select_documents(
    validation: Sequence[Document],
    processor: Processor,
    *,
    records: int = 32,
    seed: int = 0,
    own: Iterable[Document] = (),
) -> dict[Origin, list[Document]]:
    """Choose the documents to record: a sample of the validation documents, the user's documents, the hostile ones.

    Args:
        validation: documents to sample from. The sampled texts are published with the model.
        processor: its window size determines the length of the longest hostile text.
        records: number of validation documents to sample; 0 samples none.
        seed: seed of the sample.
        own: documents that the user chose.

    Returns:
        Raw documents as the task reads them, without gold and metadata, by origin; each has a unique id.
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
        origin: [
            _as_it_arrived(document, f"{origin}: {number}", processor) for number, document in enumerate(documents)
        ]
        for origin, documents in chosen.items()
    }
    return {**named, "hostile": hostile_documents(processor, pairs=pairs)}


def _length(document: Document) -> int:
    return len(document.raw_text) + len(document.raw_text_pair or "")


def _as_it_arrived(document: Document, name: str, processor: Processor) -> Document:
    """Return only the input of the task, because the id and the metadata of a document may be private."""
    given = processor.task.as_input(document).predicted
    return Document(id=name, raw_text=document.raw_text, raw_text_pair=document.raw_text_pair, predicted=given)


def record_golden(predictor: Predictor, documents: Mapping[Origin, Sequence[Document]]) -> GoldenFile:
    """Record every stage of the route for `documents`, which are grouped by origin.

    A document that fails before the model runs is recorded as failed, and verification expects the same failure. A
    failure of the model itself is never recorded.

    Raises:
        ArtefactError: there are too many documents or none, two have the same id, or the model fails on one of them.
    """
    count = sum(map(len, documents.values()))
    if count > MAX_RECORDS:
        raise ArtefactError(
            f"{count} documents are too many golden records; the limit is {MAX_RECORDS}. Record fewer: see golden.file "
            "and golden.records in the configuration"
        )
    budget = NumberBudget()
    records = tuple(
        budget.fit_record(record)
        for origin, of_origin in documents.items()
        for record in _trace_records(predictor, of_origin, origin)
    )
    backend, dtype = predictor.backend.name, predictor.backend.dtype
    try:
        return GoldenFile(format_version=FORMAT_VERSION, backend=backend, dtype=dtype, records=records)
    except ValidationError as error:
        raise ArtefactError(f"the golden records are invalid: {explain(error, GoldenFile)}") from error


def _trace_records(predictor: Predictor, documents: Sequence[Document], origin: Origin) -> Iterator[GoldenRecord]:
    """Yield the record of each document, one at a time, so that only one document's logits are in memory."""
    for document in documents:
        [trace] = predictor.trace([document])
        record = golden_record(trace, processor=predictor.processor, origin=origin)
        if trace.failure is not None and _is_model_failure(trace.failure, record):
            raise ArtefactError(
                f"the model fails on the golden text {record.id!r}, {record.raw_text[:80]!r}: "
                f"{type(trace.failure).__name__}: {trace.failure}; the text does not cause this failure, so it is not "
                "recorded. Check that the tokenizer, windows.max_length and the model belong together"
            ) from trace.failure
        yield record


def _is_model_failure(failure: Exception, record: GoldenRecord) -> bool:
    """Return whether the model caused the failure, rather than the text or a transform that rejects it."""
    stage = None if record.failed is None else record.failed.stage
    return stage in _MODEL_STAGES or isinstance(failure, IndexError)


def record_artefact(
    folder: str | Path,
    documents: Mapping[Origin, Sequence[Document]] | None = None,
    *,
    dtype: str = "float32",
    trust_remote_code: bool = False,
) -> GoldenFile:
    """Write the `golden.json` of a saved model from its current predictions on this machine.

    Args:
        folder: the artefact.
        documents: at least 32 documents to record, by origin; `None` records the hostile documents.
        dtype: the precision to record in, which must be that of the evaluation.
        trust_remote_code: whether code that was saved with the model may run.

    Raises:
        ArtefactError: the artefact cannot be loaded, there are too few or too many documents, or a document that is not
            hostile cannot be predicted.
    """
    count = MIN_RECORDS if documents is None else sum(map(len, documents.values()))
    if count < MIN_RECORDS:
        raise ArtefactError(
            f"{count} golden records are too few to verify a model; at least {MIN_RECORDS} are needed. Use those of "
            "nlp_inference.golden.select_documents(validation, processor, own=...), which adds the hostile documents"
        )
    predictor = Predictor.from_pretrained(folder, backend=REFERENCE, dtype=dtype, trust_remote_code=trust_remote_code)
    golden = record_golden(predictor, documents or select_documents([], predictor.processor))
    broken = next((record for record in golden.records if record.failed and record.origin != "hostile"), None)
    if broken is not None and broken.failed is not None:
        raise ArtefactError(
            f"the golden record {broken.id!r} cannot be predicted: {broken.failed.error} at the stage "
            f"{broken.failed.stage!r}; predict its text to see the cause: {broken.raw_text[:80]!r}"
        )
    golden.write(folder)
    return golden
