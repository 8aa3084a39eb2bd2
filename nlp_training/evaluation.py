"""Evaluation: the Predictor on documents without their gold, compared with the gold."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nlp_inference import Annotation, Document, Predictor
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Needs
from nlp_training.metrics import document_metric

_BATCH = 1024


def evaluate_documents(predictor: Predictor, documents: Iterable[Document]) -> dict[str, Any]:
    """Score a predictor on gold documents, as production would serve them.

    Memory is bounded by the predictor's look-ahead: predictions go to the metric's file as they come, logits nowhere.

    Args:
        predictor: predicts; it never sees the gold.
        documents: with gold.

    Returns:
        The metric's scores, `per_label` among them, and under `coverage` what was read of the documents.

    Raises:
        InvalidDocumentError: a document has no gold.
        PredictionError: a document could not be predicted.
    """
    return score(predict_beside_gold(predictor, documents), needs=predictor.processor.task.needs)


def predict_beside_gold(predictor: Predictor, documents: Iterable[Document]) -> Iterator[tuple[Document, Annotation]]:
    """Predict documents stripped of their gold, and hand the gold back beside each."""
    golds: list[Annotation] = []

    def stripped() -> Iterator[Document]:
        for document in documents:
            if document.gold is None:
                raise InvalidDocumentError(f"document {document.id!r} has no gold to compare a prediction with")
            golds.append(document.gold)
            yield document.unannotated()

    for predicted in predictor.stream(stripped()):
        yield predicted, golds.pop(0)


def score(pairs: Iterable[tuple[Document, Annotation]], *, needs: Needs) -> dict[str, Any]:
    """Score predicted documents beside their gold."""
    how = document_metric(needs)
    metric = how.metric()
    coverage = {"documents": 0, "characters": 0, "windows": 0, "truncated": 0, "incomplete": 0}
    for batch in _batches(pairs):
        for document, _ in batch:
            _count_coverage(coverage, document)
        metric.add_batch(
            predictions=[how.view(document.predicted or Annotation()) for document, _ in batch],
            references=[how.view(gold) for _, gold in batch],
        )
    scores = metric.compute() if coverage["documents"] else {}
    return {**scores, "coverage": coverage}


def _count_coverage(totals: dict[str, int], document: Document) -> None:
    totals["documents"] += 1
    if document.coverage is not None:
        totals["characters"] += document.coverage.characters
        totals["windows"] += document.coverage.windows
        totals["truncated"] += document.coverage.truncated
        totals["incomplete"] += not document.coverage.complete


def _batches(pairs: Iterable[tuple[Document, Annotation]]) -> Iterator[Sequence[tuple[Document, Annotation]]]:
    batch: list[tuple[Document, Annotation]] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
