"""Comparison of an adopted model with the stock way of using its checkpoint, text by text, with causes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nlp_inference import Annotation, Document, Predictor, Span
from nlp_inference.document import FailedDocument
from nlp_inference.registry import Spec
from nlp_training.adopt.causes import CAUSES, SAME_SPAN, Case, cause_of, is_rewritten
from nlp_training.adopt.heads.base import StockPrediction
from nlp_training.adopt.plan import Plan
from nlp_training.evaluation import compare, score
from nlp_training.gold import document_metric

NUMBER_TOLERANCE = 1e-3
"""The relative difference of numbers that agree."""

Item = tuple[int, int, str] | tuple[str, float] | str
"""A prediction that is compared: a span, a value, a category or a text."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A place at which both predictions differ.

    Attributes:
        cause: why, a key of `CAUSES`.
        stock, adopted: the spans of each that differ; empty for predictions about the complete text.
    """

    cause: str
    stock: tuple[Span, ...] = ()
    adopted: tuple[Span, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the predictions differ, rather than only the text that the pipeline returns for a span."""
        return self.cause != SAME_SPAN


@dataclass(frozen=True, slots=True)
class ComparedText:
    """A text with both predictions.

    Attributes:
        document: the text with the prediction of the adopted model; `None` in `predicted` if it fails.
        stock: the stock prediction.
        agreeing: how many predictions agree.
        total: how many predictions there are on either side.
        differences: where they differ.
        error: why the adopted model fails; empty otherwise.
    """

    document: Document
    stock: StockPrediction
    agreeing: int
    total: int
    differences: tuple[Difference, ...]
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both predictions are the same."""
        return not any(one.counts for one in self.differences)


@dataclass
class Comparison:
    """The comparison on all texts.

    Attributes:
        title: the stock way of using the model.
        call: the code of it.
        texts: the texts.
        scores: if the texts have gold, the main score of the stock predictions and that of the adopted model.
    """

    title: str
    call: str
    texts: list[ComparedText] = field(default_factory=list)
    scores: tuple[float, float] | None = None

    @property
    def agreeing(self) -> int:
        """How many predictions agree."""
        return sum(one.agreeing for one in self.texts)

    @property
    def total(self) -> int:
        """How many predictions there are on either side."""
        return sum(one.total for one in self.texts)

    @property
    def same_texts(self) -> int:
        """On how many texts everything agrees."""
        return sum(one.agrees for one in self.texts)

    @property
    def causes(self) -> Counter[str]:
        """How many differences have each cause, in the order of `CAUSES`."""
        counted = Counter(one.cause for text in self.texts for one in text.differences)
        return Counter({cause: counted[cause] for cause in CAUSES if counted[cause]})


def compare_with_stock(plan: Plan, predictor: Predictor, documents: Sequence[Document]) -> Comparison:
    """Predict documents in both ways, and find the cause of each difference.

    Args:
        plan: the plan, with the stock way of using the model.
        predictor: the adopted model, with its final processor.
        documents: documents without gold.
    """
    baseline = predictor.with_processor(plan.processor_without_changes()) if _changes(plan, predictor) else None
    found = Comparison(plan.route.title, plan.route.call)
    adopted = predictor.stream(documents, on_error="record")
    plain = iter(()) if baseline is None else baseline.stream(documents, on_error="record")
    for document, served in zip(documents, adopted, strict=True):
        stock = plan.route.predict(document)
        without = next(plain, None)
        found.texts.append(_compared(plan, predictor, document, served, stock, without))
    return found


def score_both(found: Comparison, golds: Sequence[Annotation], *, needs: Spec) -> tuple[float, float]:
    """Return the main score of the stock predictions and of the adopted model; a failure is an empty prediction.

    Args:
        found: the comparison.
        golds: the gold of its first texts.
        needs: the kind of gold.
    """
    name = document_metric(needs).best
    texts = found.texts[: len(golds)]
    of_stock = [one.stock.annotation or Annotation() for one in texts]
    adopted = [one.document.predicted or Annotation() for one in texts]
    scores = []
    for predictions in (of_stock, adopted):
        documents = [
            one.document.model_copy(update={"predicted": found}) for one, found in zip(texts, predictions, strict=True)
        ]
        pairs = zip(documents, golds, strict=True)
        computed = score(compare(pairs, needs=needs, details=False), needs=needs, details=False)
        scores.append(float(computed.get(name, 0.0)))
    return scores[0], scores[1]


def _changes(plan: Plan, predictor: Predictor) -> bool:
    """Return whether the user or the data changed what the checkpoint alone would give."""
    plain = plan.processor_without_changes()
    return plain.to_dict() != predictor.processor.with_fingerprint(None).to_dict()


def _compared(
    plan: Plan,
    predictor: Predictor,
    document: Document,
    served: Document | FailedDocument,
    stock: StockPrediction,
    without: Document | FailedDocument | None,
) -> ComparedText:
    if isinstance(served, FailedDocument):
        difference = (Difference("it fails"),) if stock.annotation is not None else ()
        return ComparedText(document, stock, 0, len(difference), difference, error=served.message)
    predicted = served.predicted or Annotation()
    case = Case(
        document=served,
        stock=stock,
        plain=without.predicted if isinstance(without, Document) else None,
        has_preprocessing=bool(plan.user_preprocess(predictor.processor)),
        task=plan.task,
        tag_ids=plan.tag_ids,
    )
    if stock.annotation is None:
        total = max(1, len(items(predicted)))
        return ComparedText(served, stock, 0, total, (Difference(cause_of(case, (), ())),))
    common, total = agreement(stock.annotation, predicted)
    differences = list(_span_differences(case, stock.annotation.spans, predicted.spans))
    if not differences and common < total and not (stock.annotation.spans or predicted.spans):
        differences.append(Difference(cause_of(case, (), ())))
    differences += _rewritten(case, predicted.spans)
    return ComparedText(served, stock, common, total, tuple(differences))


def items(annotation: Annotation) -> list[Item]:
    """Return the predictions of an annotation that are compared; scores are not."""
    spans: list[Item] = [(span.start, span.end, span.label) for span in annotation.spans]
    return [
        *spans,
        *(category.label for category in annotation.categories),
        *annotation.values.items(),
        *annotation.generated,
    ]


def agreement(stock: Annotation, adopted: Annotation) -> tuple[int, int]:
    """Return how many predictions agree, and how many there are on either side.

    Example:
        >>> one, other = (Annotation(values={"score": value}) for value in (3.0, 3.0001))
        >>> agreement(one, other)
        (1, 1)
    """
    first, second = items(_comparable(stock, adopted)), items(_comparable(adopted, stock))
    common = sum(any(_same(one, other) for other in second) for one in first)
    total = len(first) + len(second) - common
    return (1, 1) if not total else (common, total)  # nothing on both sides is one prediction that agrees


def _comparable(one: Annotation, other: Annotation) -> Annotation:
    """Return a prediction without values that the other one does not have, such as the probability of no answer."""
    values = {name: value for name, value in one.values.items() if name in other.values}
    return one.model_copy(update={"values": values})


def _same(one: Item, other: Item) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == 2 and len(other) == 2:
        near = abs(one[1] - other[1]) <= NUMBER_TOLERANCE * max(1.0, abs(other[1]))
        return one[0] == other[0] and near
    return one == other


def _span_differences(case: Case, stock: Sequence[Span], adopted: Sequence[Span]) -> Iterator[Difference]:
    """Yield each group of overlapping spans that only one of the predictions has."""
    known = [{(span.start, span.end, span.label) for span in spans} for spans in (stock, adopted)]
    common = known[0] & known[1]
    only_one = [
        (side, span)
        for side, spans in enumerate((stock, adopted))
        for span in spans
        if (span.start, span.end, span.label) not in common
    ]
    group: list[tuple[int, Span]] = []
    end = -1
    for side, span in sorted(only_one, key=lambda one: (one[1].start, one[1].end, one[0])):
        if group and span.start >= end:
            yield _difference(case, group)
            group = []
        group.append((side, span))
        end = max(end, span.end) if len(group) > 1 else span.end
    if group:
        yield _difference(case, group)


def _difference(case: Case, group: Sequence[tuple[int, Span]]) -> Difference:
    stock, adopted = (tuple(span for side, span in group if side == wanted) for wanted in (0, 1))
    return Difference(cause_of(case, stock, adopted), stock, adopted)


def _rewritten(case: Case, adopted: Sequence[Span]) -> Iterator[Difference]:
    """Yield spans that agree, but for which the pipeline returns another text than that of the document."""
    known = {(span.start, span.end, span.label): span for span in adopted}
    spans = case.stock.annotation.spans if case.stock.annotation is not None else ()
    for span, word in zip(spans, case.stock.words, strict=False):
        same = known.get((span.start, span.end, span.label))
        if same is not None and is_rewritten(word, case.document.surface(span)):
            yield Difference(SAME_SPAN, (span,), (same,))
