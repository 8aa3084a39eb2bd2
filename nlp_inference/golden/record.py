"""Recording: which documents, and what the route makes of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

from nlp_inference.document import Document
from nlp_inference.errors import ArtefactError
from nlp_inference.golden.hostile import hostile_documents
from nlp_inference.golden.records import GoldenFile, GoldenRecord, Origin
from nlp_inference.golden.stages import golden_record
from nlp_inference.predictor import Predictor
from nlp_inference.processor import Processor

MAX_SAMPLED_CHARACTERS = 60_000
"""Characters of validation texts that are recorded at most, so that `golden.json` stays below one MiB."""


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

    A document that fails is recorded as failing: it must fail there as well.
    """
    records = tuple(
        record for origin, of_origin in documents.items() for record in trace_records(predictor, of_origin, origin)
    )
    return GoldenFile(backend=predictor.backend.name, dtype=predictor.backend.dtype, records=records)


def trace_records(predictor: Predictor, documents: Sequence[Document], origin: Origin) -> list[GoldenRecord]:
    """Each document's stages, one document at a time, so that no more than one document's logits are in memory."""
    return [
        golden_record(trace, processor=predictor.processor, origin=origin)
        for document in documents
        for trace in predictor.trace([document])
    ]


def record_artefact(
    folder: str | Path, documents: Mapping[Origin, Sequence[Document]] | None = None, *, dtype: str = "float32"
) -> GoldenFile:
    """Write the `golden.json` of a saved model: what it predicts here and now is what it has to predict everywhere.

    Args:
        folder: the artefact.
        documents: to record, by where they come from; `None` takes the hostile ones.
        dtype: the precision to record in: that in which it was evaluated.

    Raises:
        ArtefactError: the artefact cannot be loaded, or a document of the user's cannot be predicted.
    """
    predictor = Predictor.from_pretrained(folder, dtype=dtype)
    golden = record_golden(predictor, documents or select_documents([], predictor.processor))
    broken = next((record for record in golden.records if record.failed and record.origin != "hostile"), None)
    if broken is not None and broken.failed is not None:
        raise ArtefactError(
            f"the golden record {broken.id!r} cannot be predicted: {broken.failed.error} at the stage "
            f"{broken.failed.stage!r}; predict its text to see why: {broken.raw_text[:80]!r}"
        )
    golden.write(folder)
    return golden
