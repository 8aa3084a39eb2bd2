"""One pass over the encoded documents of a split."""

from collections.abc import Iterable, Iterator, Sequence

from nlp_inference import Annotation, Document, Processor
from nlp_inference.encoding import EncodedDocument
from nlp_inference.errors import NlpInferenceError
from nlp_training.data_report.duplicates import DuplicateSearch, text_read
from nlp_training.data_report.findings import Tally, place_of
from nlp_training.data_report.lost_gold import perfect_prediction
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.evaluation import compare, score
from nlp_training.streams import in_chunks

_DOCUMENTS_AT_ONCE = 256


def measure_split(
    processor: Processor, documents: Iterable[Document], *, split: str, duplicates: DuplicateSearch
) -> SplitMeasures:
    """Encode the documents of a split, count what they hold, and score perfect outputs as an evaluation would.

    Only a part of the documents is in memory as tokens at any time. A document that cannot be encoded or decoded is
    counted as failed, and left out.

    Args:
        processor: encodes and decodes as in production.
        documents: with gold; those without are counted, and not scored.
        split: the name of the split.
        duplicates: takes in the documents on the way.
    """
    measures = SplitMeasures()
    needs = processor.task.needs
    pairs = _perfect_pairs(processor, documents, measures=measures, split=split, duplicates=duplicates)
    measures.ceiling = score(compare(pairs, needs=needs), needs=needs)
    return measures


def _perfect_pairs(
    processor: Processor,
    documents: Iterable[Document],
    *,
    measures: SplitMeasures,
    split: str,
    duplicates: DuplicateSearch,
) -> Iterator[tuple[Document, Annotation]]:
    """Perfectly predicted documents, each with its gold; everything else is counted on the way."""
    for chunk in in_chunks(documents, size=_DOCUMENTS_AT_ONCE):
        pairs = _encode(processor, chunk, failed=measures.failed)
        duplicates.add(split, [document for document, _ in pairs], [text_read(one.document) for _, one in pairs])
        for document, encoded in pairs:
            measures.add(encoded, processor)
            if document.gold is None:
                continue
            try:
                predicted, lost = perfect_prediction(processor, encoded)
            except NlpInferenceError as error:
                _count_failed(measures.failed, document, error)
            else:
                measures.lost += lost
                yield predicted, document.gold


def _encode(
    processor: Processor, documents: Sequence[Document], *, failed: Tally
) -> list[tuple[Document, EncodedDocument]]:
    """Encode documents together, or, if one of them fails, each by itself."""
    try:
        return list(zip(documents, processor.encode(documents), strict=True))
    except NlpInferenceError as error:
        if len(documents) == 1:
            _count_failed(failed, documents[0], error)
            return []
    return [pair for document in documents for pair in _encode(processor, [document], failed=failed)]


def _count_failed(failed: Tally, document: Document, error: NlpInferenceError) -> None:
    failed.add(lambda: f"{place_of(document)}: {error}")
