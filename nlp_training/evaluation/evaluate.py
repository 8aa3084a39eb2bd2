"""Evaluation: comparison of predictions with gold, which the Predictor never sees."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import ceil
from typing import Any, NamedTuple

from accelerate.utils import gather_object

from nlp_inference import Annotation, Document, Predictor
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.batches.streams import in_chunks
from nlp_training.gold import document_metric
from nlp_training.metrics import Metric
from nlp_training.metrics.documents import RunningScores

BATCH = 1024
"""The number of comparisons that are passed to a metric, or between processes, at once."""

_COUNTED = ("documents", "characters", "read", "deleted", "unknown", "windows", "truncated", "incomplete")


class Comparison(NamedTuple):
    """The inputs of each metric for one document, prediction and gold, and its coverage, without text."""

    seen: list[tuple[Any, Any]]
    coverage: dict[str, int]


def evaluate_documents(
    predictor: Predictor, documents: Iterable[Document], *, own: Sequence[Metric] = ()
) -> dict[str, Any]:
    """Score a predictor on gold documents, as in production.

    The predictor's look-ahead bounds the memory: predictions are written to the metric's file, and logits are not kept.

    Args:
        predictor: the predictor; it never sees the gold.
        documents: documents with gold.
        own: additional custom metrics.

    Returns:
        The scores of the metric, including `per_label` and `interval`; those of additional metrics under their names
        (see `nlp_training.metrics`); and under `coverage` the counts of `documents`, their `characters`, and how many
        of these were `read`, `deleted` by preprocessing and `unknown` to the tokenizer, of `windows`, of documents
        `truncated`, and of documents `incomplete`, which were not read completely.

    Raises:
        InvalidDocumentError: a document has no gold.
        PredictionError: a document could not be predicted.
    """
    needs = predictor.processor.task.needs
    return score(compare(predict_beside_gold(predictor, documents), needs=needs, own=own), needs=needs, own=own)


def predict_beside_gold(predictor: Predictor, documents: Iterable[Document]) -> Iterator[tuple[Document, Annotation]]:
    """Predict documents as a caller supplies them, without their gold, and yield each with its complete gold."""
    golds: deque[Annotation] = deque()
    task = predictor.processor.task

    def stripped() -> Iterator[Document]:
        for document in documents:
            if document.gold is None:
                raise InvalidDocumentError(f"document {document.id!r} has no gold to compare a prediction with")
            golds.append(task.complete_gold(document.gold))
            yield task.as_input(document)

    for predicted in predictor.stream(stripped()):
        yield predicted, golds.popleft()


def compare(
    pairs: Iterable[tuple[Document, Annotation]], *, needs: Spec, details: bool = True, own: Sequence[Metric] = ()
) -> Iterator[Comparison]:
    """Yield the inputs of the metrics for predicted documents and gold; without `details`, only of the main metric."""
    metric = document_metric(needs, own)
    for document, gold in pairs:
        seen = metric.view(document, gold) if details else [metric.main.view(document, gold)]
        yield Comparison(seen, _coverage(document))


def score(
    comparisons: Iterable[Comparison], *, needs: Spec, details: bool = True, own: Sequence[Metric] = ()
) -> dict[str, Any]:
    """Score comparisons with the metrics of tasks that learn from this kind of gold.

    Args:
        comparisons: the result of `compare` with the same `details`.
        needs: the kind of gold.
        details: whether to compute intervals and additional metrics, or only the main one.
        own: additional custom metrics, the same as for `compare`.
    """
    running = RunningScores(document_metric(needs, own), details=details)
    coverage = dict.fromkeys(_COUNTED, 0)
    for batch in in_chunks(comparisons, size=BATCH):
        for one in batch:
            for name, count in one.coverage.items():
                coverage[name] += count
        running.add([one.seen for one in batch])
    if not coverage["documents"]:
        return {"coverage": coverage}
    return {**running.compute(details=details), "coverage": coverage}


def evaluate_pair(
    model: Predictor, against: Predictor | None = None, *, documents: Sequence[Document], own: Sequence[Metric] = ()
) -> dict[str, Any]:
    """Score a predictor on gold documents, and test whether it is better than another one.

    Args:
        model: the predictor to score.
        against: another predictor to compare with.
        documents: documents with gold.
        own: additional custom metrics.

    Returns:
        Under `scores`, the result of `evaluate_documents`. With another predictor, its scores under `against`, and
        under `paired` the result of `paired_test`, in which `against` is the first model and `model` the second.

    Raises:
        InvalidDocumentError: a document has no gold.
        InvalidSpecError: the predictors learn from different kinds of gold.
        PredictionError: a document could not be predicted.
    """
    if against is None:
        return {"scores": evaluate_documents(model, documents, own=own)}
    needs, other = model.processor.task.needs, against.processor.task.needs
    if needs != other:
        raise InvalidSpecError(f"one model predicts {needs!r}, the other {other!r}; compare models of one kind of task")
    second, first = (
        list(compare(predict_beside_gold(one, documents), needs=needs, own=own)) for one in (model, against)
    )
    scores, of_other = (score(found, needs=needs, own=own) for found in (second, first))
    return {"scores": scores, "against": of_other, "paired": paired_test(first, second, needs=needs)}


def paired_test(first: Iterable[Comparison], second: Iterable[Comparison], *, needs: Spec) -> dict[str, Any]:
    """Test whether one model is better than another on the same documents.

    Args:
        first: the result of `compare` for one model.
        second: the result for the other model, for the same documents in the same order.
        needs: the kind of gold.

    Returns:
        The result of `McNemar` or `PairedBootstrap`; empty if there are no documents.

    Raises:
        ValueError: the numbers of documents differ.
    """
    test = document_metric(needs).paired()
    documents = 0
    for chunk in in_chunks(zip(first, second, strict=True), size=BATCH):
        documents += len(chunk)
        test.add_batch(
            predictions1=[one.seen[0][0] for one, _ in chunk],
            predictions2=[other.seen[0][0] for _, other in chunk],
            references=[one.seen[0][1] for one, _ in chunk],
        )
    return dict(test.compute()) if documents else {}


def of_all_processes(comparisons: Iterator[Comparison], *, largest_share: int) -> Iterator[Comparison]:
    """Gather comparisons in rounds; every process takes part in all rounds, even after the end of its share."""
    for _ in range(ceil(largest_share / BATCH)):
        yield from gather_object(list(islice(comparisons, BATCH)))


def share_read(coverage: Mapping[str, int]) -> str:
    """Format the share of the characters that were read, rounded down, so 100 % means all of them.

    Args:
        coverage: the `coverage` of `score`.

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
        "deleted": _characters(coverage.deleted, coverage.deleted_pair),
        "unknown": _characters(coverage.unknown, coverage.unknown_pair),
        "windows": coverage.windows,
        "truncated": int(coverage.truncated),
        "incomplete": int(not coverage.complete),
    }


def _characters(*kinds: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for ranges in kinds for start, end in ranges)
