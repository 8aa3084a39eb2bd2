"""Evaluation: the Predictor on documents without their gold, compared with the gold."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nlp_inference import Annotation, Document, Predictor
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Needs
from nlp_training.metrics import document_metric
from nlp_training.streams import in_chunks

BATCH = 1024
"""How many comparisons go to a metric, or from process to process, at once."""

_COUNTED = ("documents", "characters", "read", "windows", "truncated", "incomplete")


class Comparison(NamedTuple):
    """What a metric sees of one document, and what was read of it: no text, so it is small."""

    predicted: Any
    gold: Any
    coverage: dict[str, int]


def evaluate_documents(predictor: Predictor, documents: Iterable[Document]) -> dict[str, Any]:
    """Score a predictor on gold documents, as production would serve them.

    Memory is bounded by the predictor's look-ahead: predictions go to the metric's file as they come, logits nowhere.

    Args:
        predictor: predicts; it never sees the gold.
        documents: with gold.

    Returns:
        The metric's scores, `per_label` among them, and under `coverage` what was read: `documents`, their
        `characters` and how many of these were `read`, `windows`, documents `truncated`, and documents `incomplete`,
        which were truncated or have characters that no token covers.

    Raises:
        InvalidDocumentError: a document has no gold.
        PredictionError: a document could not be predicted.
    """
    needs = predictor.processor.task.needs
    return score(compare(predict_beside_gold(predictor, documents), needs=needs), needs=needs)


def predict_beside_gold(predictor: Predictor, documents: Iterable[Document]) -> Iterator[tuple[Document, Annotation]]:
    """Predict documents stripped of their gold, and hand the gold back beside each."""
    golds: deque[Annotation] = deque()

    def stripped() -> Iterator[Document]:
        for document in documents:
            if document.gold is None:
                raise InvalidDocumentError(f"document {document.id!r} has no gold to compare a prediction with")
            golds.append(document.gold)
            yield document.unannotated()

    for predicted in predictor.stream(stripped()):
        yield predicted, golds.popleft()


def compare(pairs: Iterable[tuple[Document, Annotation]], *, needs: Needs) -> Iterator[Comparison]:
    """Keep of predicted documents and their gold what the metric sees."""
    view = document_metric(needs).view
    for document, gold in pairs:
        yield Comparison(view(document.predicted or Annotation()), view(gold), _coverage(document))


def score(comparisons: Iterable[Comparison], *, needs: Needs) -> dict[str, Any]:
    """Score comparisons with the metric of tasks that learn from this kind of gold."""
    metric = document_metric(needs).metric()
    coverage = dict.fromkeys(_COUNTED, 0)
    for batch in in_chunks(comparisons, size=BATCH):
        for one in batch:
            for name, count in one.coverage.items():
                coverage[name] += count
        metric.add_batch(predictions=[one.predicted for one in batch], references=[one.gold for one in batch])
    scores = metric.compute() if coverage["documents"] else {}
    return {**scores, "coverage": coverage}


def share_read(coverage: Mapping[str, int]) -> str:
    """The share of the characters that were read, rounded down, so that only all of them are 100 %.

    Args:
        coverage: what `score` counts.

    Example:
        >>> share_read({"characters": 3_000_000, "read": 2_999_999}), share_read({"characters": 0, "read": 0})
        ('99.99 %', '100.00 %')
    """
    characters, read = coverage.get("characters", 0), coverage.get("read", 0)
    hundredths = read * 10_000 // characters if characters else 10_000
    return f"{hundredths // 100}.{hundredths % 100:02} %"


def _coverage(document: Document) -> dict[str, int]:
    coverage = document.coverage
    if coverage is None:
        return {"documents": 1}
    return {
        "documents": 1,
        "characters": coverage.characters,
        "read": coverage.read,
        "windows": coverage.windows,
        "truncated": int(coverage.truncated),
        "incomplete": int(not coverage.complete),
    }
